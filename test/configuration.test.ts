// The configuration as its engineers meet it: what is accepted, what is refused and in which words. Each file in
// configuration/wrong has its messages beside it (.txt), one per line, as `line:column: what is wrong, what was expected`.
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { type Configuration, readConfiguration } from '../src/configuration.ts';
import { staleAfterMs } from '../src/source-settings.ts';
import { generatedFiles } from '../src/workbench/generate.ts';
import { showProblem } from '../src/yaml-file.ts';

const root = join(import.meta.dirname, '..');
const here = join(import.meta.dirname, 'configuration');
const wrong = join(here, 'wrong');
const scratch = mkdtempSync(join(tmpdir(), 'headroom-configuration-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const LEAST = `substation: { id: SUB-1 }
uplink: { brokers: [ { url: "mqtts://headend.example:8883" } ] }
sources:
  - { id: meter-1, type: modbus-tcp, host: 127.0.0.1, profile: eastron-sdm630 }
feeders:
  - id: F1
    currents: { source: meter-1 }
    targetGroup: { id: TG-F1, version: 1 }
    settings:
      - name: winter
        ratingA: 385
        atRisk: { pickupA: 345, dropoutA: 310, delayS: 30, resetDelayS: 60 }
`;

/** The messages about `file`, without its own name, and any other file's relative to `folder`. */
function messages(file: string, folder: string, of: 'problems' | 'warnings' = 'problems'): string[] {
  const prefix = `${file}:`;
  return readConfiguration(file)[of].map((problem) => {
    const line = showProblem(problem);
    return line.startsWith(prefix) ? line.slice(prefix.length) : relative(folder, line);
  });
}

function write(text: string, name = 'configuration.yaml'): string {
  const file = join(scratch, name);
  writeFileSync(file, text);
  return file;
}

function accepted(file: string): Configuration {
  const { configuration, problems } = readConfiguration(file);
  expect(problems.map(showProblem)).toEqual([]);
  if (configuration === null) throw new Error('no configuration and no problem');
  return configuration;
}

interface Schema {
  properties?: Record<string, Schema>;
  items?: Schema;
}

/** Every key that the schema knows, at whatever depth. */
function keysOf({ properties = {}, items = {} }: Schema, keys = new Set<string>()): Set<string> {
  for (const [key, inner] of Object.entries(properties)) keysOf(inner, keys.add(key));
  return Object.keys(items).length === 0 ? keys : keysOf(items, keys);
}

describe('wrong configurations', () => {
  /** `<maps>` in an expected message stands for the maps that ship with the program. */
  const maps = readdirSync(join(root, 'hardware/meters'))
    .flatMap((name) => (name.endsWith('.yaml') ? [name.replace(/\.yaml$/, '')] : []))
    .sort();
  const files = readdirSync(wrong).filter((name) => name.endsWith('.yaml'));

  test('there is a corpus of them, each with its messages', () => {
    expect(files.length).toBeGreaterThanOrEqual(60);
    expect(readdirSync(wrong).filter((name) => name.endsWith('.txt'))).toEqual(
      files.map((name) => name.replace(/yaml$/, 'txt')),
    );
  });

  test.each(files)('%s', (name) => {
    const file = join(wrong, name);
    const expected = readFileSync(file.replace(/yaml$/, 'txt'), 'utf8').replace('<maps>', maps.join(', '));
    expect(`${messages(file, wrong).join('\n')}\n`).toBe(expected);
    expect(readConfiguration(file).configuration).toBeNull();
  });

  test.each(files)('%s keeps its messages with Windows line ends', (name) => {
    const file = join(wrong, name);
    const text = readFileSync(file, 'utf8').replaceAll('\n', '\r\n');
    // In a folder of its own beside copies of what the corpus refers to, since paths are relative to the file.
    mkdirSync(join(scratch, 'crlf'), { recursive: true });
    mkdirSync(join(scratch, 'meters'), { recursive: true });
    copyFileSync(join(wrong, 'tabs.yaml'), join(scratch, 'crlf', 'tabs.yaml'));
    for (const map of readdirSync(join(here, 'meters')))
      copyFileSync(join(here, 'meters', map), join(scratch, 'meters', map));
    const copy = write(text, `crlf/${name}`);
    expect(messages(copy, join(scratch, 'crlf'))).toEqual(messages(file, wrong));
  });

  test('a file that does not exist, and a folder', () => {
    const missing = join(scratch, 'missing.yaml');
    expect(readConfiguration(missing).problems.map(showProblem)).toEqual([
      `${missing}: not found, expected a readable file`,
    ]);
    expect(readConfiguration(scratch).problems.map(showProblem)).toEqual([
      `${scratch}: a folder, expected a readable file`,
    ]);
  });

  test('no slip of the pen is an exception, and each is told with a place in the file', () => {
    const slip = fc.record({
      at: fc.nat(LEAST.length - 1),
      drop: fc.nat(12),
      put: fc.oneof(
        fc.string({ maxLength: 6 }),
        fc.constantFrom(
          '\n',
          '\t',
          ': ',
          '- ',
          '{',
          ']',
          '"',
          '*x',
          '&x ',
          '!!set ',
          '<<: ',
          '|',
          '~',
          '-.inf',
          '1e999',
          '? ',
        ),
      ),
    });
    fc.assert(
      fc.property(fc.array(slip, { minLength: 1, maxLength: 4 }), (slips) => {
        const text = slips.reduce((all, { at, drop, put }) => all.slice(0, at) + put + all.slice(at + drop), LEAST);
        const { configuration, problems } = readConfiguration(write(text, 'slip.yaml'));
        expect(configuration === null).toBe(problems.length > 0);
        for (const problem of problems) {
          expect(problem.line).toBeGreaterThan(0);
          expect(problem.line).toBeLessThanOrEqual(text.split('\n').length);
          expect(problem.column).toBeGreaterThan(0);
          expect(showProblem(problem)).not.toMatch(/undefined|\[object|Invalid input|\n/);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('a password in an address is not repeated', () => {
    const file = write(LEAST.replace('mqtts://headend', 'mqtts://edge:secret@headend'));
    expect(messages(file, scratch).join('\n')).not.toContain('secret');
  });
});

describe('warnings', () => {
  const warn = (change: (text: string) => string) => messages(write(change(LEAST)), scratch, 'warnings');

  test('a serial line that is too slow for its polls, with what the pace would have to be', () => {
    const line = (baudRate: number, units: number, pollMs = 200) =>
      warn((text) => {
        const sources = Array.from(
          { length: units },
          (_, n) =>
            `  - { id: meter-${n + 1}, type: modbus-rtu, path: /dev/ttyS1, baudRate: ${baudRate}, unitId: ${n + 1}, profile: eastron-sdm630, pollMs: ${pollMs} }`,
        );
        return text
          .replace(/^ {2}- \{ id: meter-1.*$/m, sources.join('\n'))
          .replace('currents: { source: meter-1 }', 'currents: { source: meter-1 }\n    backup: { source: meter-2 }');
      }).filter((message) => message.includes('pollMs'));
    // 50.4 ms at 9600 bit/s: 13 + 24 characters of 11 bits and two gaps of 3.5.
    expect(line(9_600, 3)).toEqual([]);
    expect(line(9_600, 4)).toEqual([
      '4:108: sources[0].pollMs is 200, expected at least 260 for the 4 meters of this line, whose telegrams alone take 101 % of the time at 9600 bit/s',
    ]);
    expect(line(9_600, 4, 1_000)).toEqual([]);
    expect(line(19_200, 4)).toEqual([]);
  });

  test('of what is legal but unwise, in order, with the configuration still accepted', () => {
    const file = write(
      LEAST.replace('resetDelayS: 60 }', 'resetDelayS: 60 }\n        curtailment: { responseTimeS: 0, refreshS: 1500 }')
        .replace('delayS: 30', 'delayS: 0')
        .replace('ratingA: 385', 'ratingA: 340')
        .replace('    currents', '    fuseA: 315\n    currents'),
    );
    accepted(file);
    expect(messages(file, scratch, 'warnings').slice(1)).toEqual([
      '12:18: feeders[0].settings[0].ratingA is 340, expected at most fuseA (315): the fuse may go first',
      '13:28: feeders[0].settings[0].atRisk.pickupA is 345, expected at most ratingA (340): at risk comes before the rating',
      '13:56: feeders[0].settings[0].atRisk.delayS is 0, expected a delay: at 0 one reading is enough for a request',
      '14:9: feeders[0].settings[0].curtailment.endSpreadS is 600 (by default), expected at most the lease less refreshS (300), which is used instead',
      '14:39: feeders[0].settings[0].curtailment.responseTimeS is 0, expected more than 0 in service: the closed loop is off',
    ]);
  });

  test('of a release whose steps last longer than the longest episode', () => {
    const steps = (curtailment: string) =>
      warn((text) =>
        text.replace('resetDelayS: 60 }', `resetDelayS: 60 }\n        curtailment: { ${curtailment} }`),
      ).filter((message) => message.includes('releaseStepPercent'));
    expect(steps('releaseStepPercent: 4')).toEqual([
      '13:44: feeders[0].settings[0].curtailment.releaseStepPercent is 4, expected steps that are over within maxEpisodeS (14400), responseTimeS each: 18000 s from 0 %',
    ]);
    expect(steps('releaseStepPercent: 5')).toEqual([]);
    expect(steps('releaseStepPercent: 4, mode: onOff')).toEqual([]);
  });

  describe('of a time that another one keeps from taking effect', () => {
    const of = (change: (text: string) => string) => warn(change).filter((line) => !line.includes('uplink.tls'));
    const curtailed = (curtailment: string, atRisk = 'delayS: 30, resetDelayS: 60 }') =>
      of((text) => text.replace('delayS: 30, resetDelayS: 60 }', `${atRisk}\n        curtailment: { ${curtailment} }`));
    const [group, curtailment] = ['feeders[0].settings[0]', 'feeders[0].settings[0].curtailment'];

    test('of delays, minimum and response times by the longest episode', () => {
      const short = 'maxEpisodeS: 900, mode: onOff';
      expect(curtailed(short)).toEqual([]);
      expect(curtailed(`${short}, minOnS: 899`, 'delayS: 899, resetDelayS: 899 }')).toEqual([]);
      expect(curtailed(`${short}, minOnS: 900`, 'delayS: 900, resetDelayS: 900 }')).toEqual([
        `12:56: ${group}.atRisk.delayS is 900, expected less than maxEpisodeS (900), which counts from the pickup: the limit would be released at once`,
        `12:74: ${group}.atRisk.resetDelayS is 900, expected less than maxEpisodeS (900), at which the limit is released in any case`,
        `13:63: ${curtailment}.minOnS is 900, expected less than maxEpisodeS (900), at which the limit is released in any case`,
      ]);
      expect(curtailed('mode: onOff, maxEpisodeS: 720')).toEqual([
        `13:9: ${curtailment}.responseTimeS is 720 (by default), expected less than maxEpisodeS (720): no effect would ever be judged`,
      ]);
      expect(
        curtailed('maxEpisodeS: 1500, leaseS: 1700, refreshS: 1500, releaseStepPercent: 50, endSpreadS: 0'),
      ).toEqual([
        `13:67: ${curtailment}.refreshS is 1500, expected less than maxEpisodeS (1500): no limit lasts until its refresh`,
      ]);
    });

    test('of every element, on the neutral and of the transformer too', () => {
      const slow = '{ pickupA: 500, dropoutA: 310, delayS: 1, resetDelayS: 20000 }';
      const lines = of(
        (text) =>
          `${text.replace('resetDelayS: 60 }', `resetDelayS: 60 }\n        emergency: ${slow}\n        neutral: { emergency: ${slow} }`)}transformer: { ratingKva: 500, voltageV: 433, feeders: [F1], emergency: ${slow} }\n`,
      );
      const places = lines.map((line) => line.split(' ')[1]);
      expect(places).toEqual([
        `${group}.emergency.resetDelayS`,
        `${group}.neutral.emergency.resetDelayS`,
        'transformer.emergency.resetDelayS',
      ]);
    });

    test('of a lease by its cap, of refreshes by the cap of requests, and of the alarm of acknowledgements by them', () => {
      expect(curtailed('refreshS: 60, ackTimeoutS: 14')).toEqual([]);
      expect(curtailed('refreshS: 59, ackTimeoutS: 14')).toEqual([
        `13:34: ${curtailment}.refreshS is 59, expected at least 60: requestsPerHour (60) holds up what is more often`,
      ]);
      expect(curtailed('refreshS: 60, ackTimeoutS: 15')).toEqual([
        `13:51: ${curtailment}.ackTimeoutS is 15, expected less than 15, a quarter of refreshS: the refresh comes before the alarm noAck`,
      ]);
      expect(curtailed('endSpreadS: 60 }\n        caps: { longestLeaseS: 1200')).toEqual([
        `13:9: ${curtailment}.leaseS is 1800 (by default), expected at most longestLeaseS (1200), which cuts it`,
      ]);
    });

    test('of a delay by the time from reading to reading, and of an age by the time-out', () => {
      const source = (times: string) => of((text) => text.replace('eastron-sdm630 }', `eastron-sdm630, ${times} }`));
      expect(source('pollMs: 30000')).toEqual([]);
      expect(source('pollMs: 30001')).toEqual([
        `12:56: ${group}.atRisk.delayS is 30, expected at least 30.001, the time from reading to reading: one of them is enough for a request`,
      ]);
      expect(source('staleAfterMs: 501')).toEqual([]);
      expect(source('staleAfterMs: 500')).toEqual([
        '4:94: sources[0].staleAfterMs is 500, expected more than timeoutMs (500): a feeder is blind before its answer counts as missing',
      ]);
    });

    test('of a group by the calendar of one before it', () => {
      const groups = (first: string, second: string) =>
        of((text) => {
          const settings = text.slice(text.indexOf('      - name: winter'));
          const other = (name: string, calendar: string) =>
            settings.replace(
              'name: winter',
              `name: ${name}\n        calendar: { timeZone: Europe/London, ${calendar} }`,
            );
          return `${text}${other('first', first)}${other('second', second)}`;
        });
      const [weekdays, evening] = ['days: [mon, tue, wed, thu, fri]', 'fromTime: "16:00", toTime: "20:00"'];
      expect(groups('days: [sat]', weekdays)).toEqual([]);
      expect(groups(`${weekdays}, ${evening}`, weekdays)).toEqual([]);
      expect(groups(weekdays, `days: [fri], ${evening}`)).toEqual([
        expect.stringMatching(
          /settings\[2\]\.calendar is .*, expected a time that first, which goes before it, leaves: it is never in force/,
        ),
      ]);
    });
  });

  test('of a broker whose certificate only public authorities vouch for', () => {
    expect(warn((text) => text)).toEqual([
      "2:9: uplink.tls is missing, expected this substation's certFile and keyFile, and a caFile, unless a public authority signed the broker",
    ]);
  });

  test('of a broker that this substation shows no certificate to', () => {
    writeFileSync(join(scratch, 'ca.pem'), '');
    expect(warn((text) => text.replace('uplink: {', 'uplink: { tls: { caFile: ca.pem },'))).toEqual([
      '2:16: uplink.tls.certFile is missing, expected the certificate of this substation: without it only a password, or nothing, tells the broker who this is',
    ]);
  });

  test('of a feeder without chargers, and of a source without a feeder', () => {
    const lines = warn((text) =>
      text
        .replace('    targetGroup: { id: TG-F1, version: 1 }\n', '')
        .replace('feeders:', '  - { id: spare, type: modbus-tcp, host: 127.0.0.2, profile: eastron-sdm630 }\nfeeders:'),
    );
    expect(lines.slice(1)).toEqual([
      '5:11: sources[1].id is "spare", expected the id of a source that a feeder uses',
      '7:5: feeders[0].targetGroup is missing, expected the chargers behind this feeder: without them it only alarms',
    ]);
  });
});

describe('good configurations', () => {
  test.each(['config/substation.yaml', 'config/demo.yaml'])('%s is accepted', (name) => {
    accepted(join(root, name));
  });

  test('config/substation.yaml holds every key of the settings, and docs/settings.md explains it', () => {
    const example = readFileSync(join(root, 'config/substation.yaml'), 'utf8');
    const reference = readFileSync(join(root, 'docs/settings.md'), 'utf8');
    const keys = keysOf(JSON.parse(readFileSync(join(root, 'config/schema.json'), 'utf8')));
    expect(keys.size).toBeGreaterThan(50);
    expect([...keys].filter((key) => !new RegExp(`\\b${key}:`).test(example))).toEqual([]);
    expect([...keys].filter((key) => !new RegExp(`[\x60.]${key}\\b`).test(reference))).toEqual([]);
  });

  test('config/substation.yaml names the defaults that the settings have', () => {
    const { settings } = accepted(join(root, 'config/substation.yaml'));
    const { settings: least } = accepted(write(LEAST));
    const [full, bare] = [settings.feeders[0]?.settings[0], least.feeders[0]?.settings[0]];
    expect(full?.curtailment).toEqual(bare?.curtailment);
    expect(full?.caps).toEqual(bare?.caps);
    expect(settings.journal).toEqual(least.journal);
    expect(settings.uplink.keepAliveS).toBe(least.uplink.keepAliveS);
    expect(settings.uplink.historyMessagesPerS).toBe(least.uplink.historyMessagesPerS);
    const [given, source] = [settings.sources[0], least.sources[0]];
    if (given?.type !== 'modbus-tcp' || source?.type !== 'modbus-tcp') throw new Error('no Modbus TCP source');
    const { port, unitId, pollMs, timeoutMs, pauseMs } = source;
    expect(given).toMatchObject({ port, unitId, pollMs, timeoutMs, pauseMs, staleAfterMs: staleAfterMs(source) });
  });

  test('relative paths are relative to the file, absolute ones stay', () => {
    for (const name of ['ca.pem', 'edge.pem', 'edge.key', 'broker.pw']) write('', name);
    copyFileSync(join(here, 'meters/good.yaml'), join(scratch, 'own.yaml'));
    const text = `${LEAST.replace(
      '8883" } ] }',
      '8883" } ], tls: { caFile: ca.pem, certFile: ./edge.pem, keyFile: edge.key }, user: { name: edge, passwordFile: broker.pw } }',
    ).replace('eastron-sdm630', './own.yaml')}journal: { path: data }\n`;
    const { settings } = accepted(write(text));
    expect(settings.uplink.tls).toEqual({
      caFile: join(scratch, 'ca.pem'),
      certFile: join(scratch, 'edge.pem'),
      keyFile: join(scratch, 'edge.key'),
    });
    expect(settings.uplink.user?.passwordFile).toBe(join(scratch, 'broker.pw'));
    expect(settings.journal.path).toBe(join(scratch, 'data'));
    expect(settings.sources[0]).toMatchObject({ profile: join(scratch, 'own.yaml') });
    expect(accepted(write(text.replace('path: data', 'path: /data'))).settings.journal.path).toBe('/data');
  });

  test('a profile is a map of hardware/meters by name, or an own one by path', () => {
    expect(accepted(write(LEAST)).registerMaps.get('meter-1')?.maker).toBe('Eastron');
    copyFileSync(join(here, 'meters/good.yaml'), join(scratch, 'own.yaml'));
    for (const profile of ['./own.yaml', join(scratch, 'own.yaml')]) {
      const { registerMaps } = accepted(write(LEAST.replace('eastron-sdm630', profile)));
      expect(registerMaps.get('meter-1')?.maker).toBe('Test');
    }
  });

  test('a byte order mark and Windows line ends are no problem', () => {
    accepted(write(`\uFEFF${LEAST.replaceAll('\n', '\r\n')}`));
  });
});

describe('the hash', () => {
  const hash = (text: string) => accepted(write(text)).hash;
  const before = hash(LEAST);

  test('has 16 hexadecimal digits', () => {
    expect(before).toMatch(/^[0-9a-f]{16}$/);
  });

  test('changes with any value', () => {
    expect(hash(LEAST.replace('385', '386'))).not.toBe(before);
    expect(hash(LEAST.replace('SUB-1 }', 'SUB-1, name: "Elm Grove" }'))).not.toBe(before);
  });

  test('changes with a register map of the same path', () => {
    const map = readFileSync(join(here, 'meters/good.yaml'), 'utf8');
    const text = LEAST.replace('eastron-sdm630', './changing.yaml');
    write(map, 'changing.yaml');
    const first = hash(text);
    write(map.replace('uint16', 'int16'), 'changing.yaml');
    expect(hash(text)).not.toBe(first);
  });

  test('does not change with key order, comments, layout or a default written out', () => {
    const swapped = LEAST.replace('pickupA: 345, dropoutA: 310', 'dropoutA: 310, pickupA: 345');
    expect(hash(swapped.replace('ratingA: 385', 'ratingA: 385.0   # the cable'))).toBe(before);
    const [top, rest] = [LEAST.split('\n')[0], LEAST.split('\n').slice(1).join('\n')];
    expect(hash(`${rest}${top}\n`)).toBe(before);
    expect(hash(LEAST.replace('profile:', 'port: 502, profile:'))).toBe(before);
  });

  test('does not change with the folder that the file is in', () => {
    mkdirSync(join(scratch, 'elsewhere'), { recursive: true });
    expect(accepted(write(LEAST, 'elsewhere/configuration.yaml')).hash).toBe(before);
  });
});

test.each(generatedFiles())('$path is what `npm run generate` writes', ({ path, text }) => {
  expect(readFileSync(join(root, path), 'utf8')).toBe(text);
});
