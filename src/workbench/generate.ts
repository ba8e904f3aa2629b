// `npm run generate`: writes the files that are made from the code's schemas and message builders, so that an editor,
// the head end and the documents say what the program checks and says. A test holds that what is written is what this
// makes.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { settingsSchema } from '../settings.ts';
import { VERSION } from '../version.ts';
import { asyncApi, type Example } from './asyncapi.ts';
import { MESSAGES } from './contract.ts';
import { exampleMessages } from './examples.ts';

export interface GeneratedFile {
  /** Relative to the root of the repository. */
  readonly path: string;
  readonly text: string;
}

const CONTRACT = 'docs/head-end.md';

/** Every generated file; one more is one more entry here. */
export function generatedFiles(): GeneratedFile[] {
  const messages = exampleMessages();
  const examples = messages.map(exampleFile);
  return [
    { path: 'config/schema.json', text: jsonSchema('Headroom configuration', settingsSchema) },
    ...MESSAGES.map(({ name, title, schema }) => ({
      path: `docs/schemas/${name}.json`,
      text: jsonSchema(title, schema),
    })),
    ...examples,
    { path: 'docs/asyncapi.yaml', text: asyncApi(VERSION, messages) },
    { path: CONTRACT, text: withExamples(readFileSync(fileOf(CONTRACT), 'utf8'), examples) },
  ];
}

/** The schema of what may be written (`io: input`), where keys with a default may be left out. */
function jsonSchema(title: string, schema: z.ZodType): string {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  return `${JSON.stringify({ $schema, title, ...rest }, null, 2)}\n`;
}

/** Throws where the message is not one of the contract. */
function exampleFile({ name, message }: Example): GeneratedFile {
  const schema = MESSAGES.find((one) => one.name === name.split('-')[0])?.schema;
  if (schema === undefined) throw new Error(`${name} is no message of the contract`);
  const json = JSON.stringify(schema.parse(message), null, 2);
  // A list of plain values stands on one line, as the formatter of the repository would have it.
  return {
    path: `docs/examples/${name}.json`,
    text: `${json.replace(/\[\s+([^[\]{}]*?)\s+\]/g, (_, items: string) => `[${items.replace(/\s*\n\s*/g, ' ')}]`)}\n`,
  };
}

/** Puts each example into the block that follows its name: `<!-- example: ack -->`. */
function withExamples(markdown: string, examples: readonly GeneratedFile[]): string {
  return markdown.replace(/(<!-- example: ([\w-]+) -->\n```json\n)[^`]*(?=```)/g, (_, head: string, name: string) => {
    const made = examples.find(({ path }) => path === `docs/examples/${name}.json`);
    if (made === undefined) throw new Error(`${CONTRACT} names an example ${name} that is not made`);
    return `${head}${made.text}`;
  });
}

function fileOf(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

if (import.meta.main) {
  for (const { path, text } of generatedFiles()) {
    mkdirSync(dirname(fileOf(path)), { recursive: true });
    writeFileSync(fileOf(path), text);
  }
}
