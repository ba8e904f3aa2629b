// A controller whose source is asked once and then not for an hour, though the watchdog ends it after a second: the
// checks refuse such a configuration. Started by the test of its end.
import { configurationOrProblems } from '../src/configuration.ts';
import { silentLog } from '../src/log.ts';
import { startController } from '../src/run.ts';

const configuration = configurationOrProblems(process.argv[2] ?? '');
if (configuration === null) throw new Error('expected a configuration');
const { settings } = configuration;
const watchdog = { ...settings.watchdog, limitS: 1 };
startController({ ...configuration, settings: { ...settings, watchdog } }, silentLog);
