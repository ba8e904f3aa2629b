// Node-RED without its editor: nothing listens, contexts that are asked for by name are kept in the job's folder.
module.exports = {
  httpAdminRoot: false,
  httpNodeRoot: false,
  disableEditor: true,
  uiHost: '127.0.0.1',
  uiPort: 0,
  nodesDir: [],
  telemetry: { enabled: false },
  contextStorage: { default: { module: 'memory' }, kept: { module: 'localfilesystem', config: { flushInterval: 1 } } },
  functionGlobalContext: {},
  logging: { console: { level: 'warn', metrics: false, audit: false } },
};
