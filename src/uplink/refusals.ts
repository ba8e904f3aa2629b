// What a broker's reason code or a failed handshake means, in words for the event, and which alarm it is. A code is
// MQTT 5's, or a return code of 3.1.1 where it is under 6.

/** Alarms of the link: each ends when a link stands, but for those of the certificates, which end when they are good. */
export type LinkAlarm =
  | 'notAuthorised'
  | 'notTrusted'
  | 'sessionTakenOver'
  | 'tooLarge'
  | 'credentials'
  | 'certificateExpiry';

const WORDS: { readonly [code: number]: string } = {
  1: 'unacceptable protocol version',
  2: 'identifier rejected',
  3: 'server unavailable',
  4: 'bad user name or password',
  5: 'not authorised',
  128: 'unspecified error',
  129: 'malformed packet',
  130: 'protocol error',
  131: 'implementation specific error',
  132: 'unsupported protocol version',
  133: 'client identifier not valid',
  134: 'bad user name or password',
  135: 'not authorised',
  136: 'server unavailable',
  137: 'server busy',
  138: 'banned',
  139: 'server shutting down',
  140: 'bad authentication method',
  141: 'keep-alive timeout',
  142: 'session taken over by another client of the same id',
  143: 'topic filter invalid',
  144: 'topic name invalid',
  147: 'receive maximum exceeded',
  148: 'topic alias invalid',
  149: 'packet too large',
  150: 'message rate too high',
  151: 'quota exceeded',
  152: 'administrative action',
  153: 'payload format invalid',
  154: 'retain not supported',
  155: 'QoS not supported',
  156: 'use another server',
  157: 'server moved',
  158: 'shared subscriptions not supported',
  159: 'connection rate exceeded',
  160: 'maximum connect time',
};

const OLDER_WANTED = [1, 132];
const NOT_AUTHORISED = [4, 5, 134, 135, 138, 140];
export const TAKEN_OVER = 142;
/** Of OpenSSL, of Node, and the alerts that a broker sends when it is our certificate that it does not like. */
const TLS_CODE = /^(EPROTO|ERR_TLS|ERR_SSL|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO|HOSTNAME_MISMATCH|INVALID_CA)/;

export function reasonOf(code: number): string {
  return `${WORDS[code] ?? 'refused'} (reason code ${code})`;
}

/** What OpenSSL found wrong stands between places of its own source. */
const OPENSSL = /:error:[\dA-F]+:[^:]*:[^:]*:([^:\n]+)/;

/** What an error of the socket says, in one line. */
export function wordsOf({ message }: Error): string {
  return OPENSSL.exec(message)?.[1] ?? message;
}

/** The broker does not know this version of MQTT. */
export function wantsOlder(code: number | string | undefined): boolean {
  return OLDER_WANTED.includes(code as number);
}

export function alarmOf(code: number | string | undefined): LinkAlarm | null {
  if (code === TAKEN_OVER) return 'sessionTakenOver';
  if (NOT_AUTHORISED.includes(code as number)) return 'notAuthorised';
  return typeof code === 'string' && TLS_CODE.test(code) ? 'notTrusted' : null;
}
