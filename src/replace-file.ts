// A small file that is written anew as a whole: beside itself first, then renamed into place, so that whoever reads it, and
// whenever the power goes, has the old one or the new one.
import { renameSync, type WriteFileOptions, writeFileSync } from 'node:fs';

/** Without `flush` it may be the old one for some seconds more. Throws what the file system says, with its path. */
export function replaceFile(file: string, text: string, options: WriteFileOptions = {}): void {
  writeFileSync(`${file}.new`, text, options);
  renameSync(`${file}.new`, file);
}
