// `npm run generate`: writes the files that are made from the code's schemas, so that an editor, the head end and the
// documents say what the program checks. A test holds that what is written is what this makes.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { settingsSchema } from '../settings.ts';

export interface GeneratedFile {
  /** Relative to the root of the repository. */
  readonly path: string;
  readonly text: string;
}

/** Every generated file; one more is one more entry here. */
export function generatedFiles(): GeneratedFile[] {
  return [{ path: 'config/schema.json', text: jsonSchema('Headroom configuration', settingsSchema) }];
}

/** The schema of what may be written (`io: input`), where keys with a default may be left out. */
function jsonSchema(title: string, schema: z.ZodType): string {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  return `${JSON.stringify({ $schema, title, ...rest }, null, 2)}\n`;
}

if (import.meta.main) {
  for (const { path, text } of generatedFiles()) {
    const file = fileURLToPath(new URL(`../../${path}`, import.meta.url));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}
