// The command line. Only what starting needs is loaded here; each verb loads its own part, so that `run` is not kept
// waiting for the desk tools.
import { enableCompileCache } from 'node:module';

enableCompileCache();
const { commandLine } = await import('./command-line.ts');
process.exitCode = await commandLine(process.argv);
