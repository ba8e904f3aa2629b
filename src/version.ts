// The program's version, from the one place where it is kept.
import packageJson from '../package.json' with { type: 'json' };

export const VERSION: string = packageJson.version;
