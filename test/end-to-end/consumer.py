"""A consumer that shares nothing with Headroom but the published schemas: reads lines of `topic<TAB>payload`, as
mosquitto_sub writes them, and holds each against docs/schemas with python3-jsonschema. Prints one line of JSON: how many
of each kind were accepted, and what was not."""
import json
import re
import sys
from pathlib import Path

from jsonschema import Draft202012Validator, FormatChecker

SCHEMAS = Path(__file__).parents[2] / 'docs' / 'schemas'
CHANNELS = [
    (r'feeder/[^/]+/curtailment', 'curtailment'),
    (r'feeder/[^/]+/curtailment/ack', 'ack'),
    (r'(feeder/[^/]+/)?event', 'event'),
    (r'feeder/[^/]+/telemetry', 'telemetry'),
    (r'status', 'status'),
    (r'command', 'command'),
    (r'command/ack', 'commandAck'),
]


def validator(name):
    schema = json.loads((SCHEMAS / f'{name}.json').read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FormatChecker())


validators = {name: validator(name) for _, name in CHANNELS}
accepted = {name: 0 for name in validators}
refused = []
for line in sys.stdin:
    topic, payload = line.rstrip('\n').split('\t', 1)
    names = [name for pattern, name in CHANNELS if re.fullmatch(rf'headroom/v1/[^/]+/{pattern}', topic)]
    if len(names) != 1:
        refused.append(f'{topic} is no topic of the contract')
        continue
    error = next(validators[names[0]].iter_errors(json.loads(payload)), None)
    if error is None:
        accepted[names[0]] += 1
    else:
        refused.append(f'{topic}: {error.json_path}: {error.message}')
print(json.dumps({'accepted': accepted, 'refused': refused}))
