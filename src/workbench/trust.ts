// `headroom trust CONFIG SOURCE [--accept FINGERPRINT]`: shows the certificate that an OPC UA server presents, whether
// it is trusted, and our own, which the server's engineer has to trust in turn. Accepting takes the fingerprint that
// the engineer has read on the server itself: it is compared with what the network shows, so that nobody between the
// two can slip in a certificate of his own.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { certificateOf, chooseEndpoint, discover } from '../acquisition/opcua-session.ts';
import {
  type CertificateFacts,
  factsOf,
  sameFingerprint,
  trust as trustCertificate,
  trustedFingerprint,
  trustFolder,
} from '../acquisition/opcua-trust.ts';
import type { Clock } from '../clock.ts';
import type { Settings } from '../settings.ts';

export interface TrustAnswer {
  readonly source: string;
  readonly endpoint: string;
  readonly server: CertificateFacts | null;
  /** The fingerprint that is trusted now; null while none is. */
  readonly trusted: string | null;
  readonly isTrusted: boolean;
  readonly own: CertificateFacts & { readonly file: string };
  /** What was done, or is to do next, in one line. */
  readonly outcome: string;
}

/** Throws an Error in one line where the server cannot be asked, or the source is no OPC UA source. */
export async function trust(
  settings: Settings,
  sourceId: string,
  accept: string | undefined,
  clock: Clock,
): Promise<TrustAnswer> {
  const source = settings.sources.find(({ id }) => id === sourceId);
  if (source?.type !== 'opcua') throw new RangeError(wrongSource(settings, sourceId));
  const folder = trustFolder(settings.journal.path);
  const endpoint = chooseEndpoint(await discover(source.endpoint, folder, clock), source);
  const certificate = certificateOf(endpoint);
  const server = certificate && factsOf(certificate);
  const isAccepted = accept !== undefined && server !== null && sameFingerprint(accept, server.fingerprint);
  if (isAccepted && certificate !== null) trustCertificate(folder, sourceId, certificate);
  const trusted = trustedFingerprint(folder, sourceId);
  const isTrusted = trusted !== null && trusted === server?.fingerprint;
  const own = factsOf(new X509Certificate(readFileSync(folder.ownCertificateFile)).raw);
  return {
    source: sourceId,
    endpoint: source.endpoint,
    server,
    trusted,
    isTrusted: isTrusted && (accept === undefined || isAccepted),
    own: { ...own, file: folder.ownCertificateFile },
    outcome: outcomeOf({ accept, isAccepted, isTrusted, trusted, server }),
  };
}

function wrongSource({ sources }: Settings, sourceId: string): string {
  const known = sources.flatMap(({ id, type }) => (type === 'opcua' ? [id] : []));
  return `${sourceId} is no OPC UA source, expected ${known.length > 0 ? `one of ${known.join(', ')}` : 'one, and there is none'}`;
}

function outcomeOf(known: {
  accept: string | undefined;
  isAccepted: boolean;
  isTrusted: boolean;
  trusted: string | null;
  server: CertificateFacts | null;
}): string {
  const { accept, isAccepted, isTrusted, trusted, server } = known;
  if (server === null) return 'the server shows no certificate';
  if (isAccepted) return 'accepted: this certificate is trusted from the next connection on';
  if (accept !== undefined) return 'not accepted: the server shows another certificate than the fingerprint given';
  if (isTrusted) return 'this certificate is trusted';
  const next =
    'compare the fingerprint with the one on the server, then: headroom trust CONFIG SOURCE --accept FINGERPRINT';
  return trusted === null ? `not trusted yet; ${next}` : `another certificate was trusted until now; ${next}`;
}

export function showTrust(answer: TrustAnswer, json: boolean): string {
  if (json) return `${JSON.stringify(answer, null, 2)}\n`;
  const { source, endpoint, server, trusted, isTrusted, own, outcome } = answer;
  const lines = [`${source}  ${endpoint}`, ''];
  if (server !== null) lines.push('server’s certificate', ...shown(server), '');
  if (trusted !== null && !isTrusted) lines.push('trusted so far', `  fingerprint  ${trusted}`, '');
  lines.push('our own certificate, for the server to trust', ...shown(own), `  file         ${own.file}`, '', outcome);
  return `${lines.join('\n')}\n`;
}

function shown({ subject, issuer, validFrom, validTo, fingerprint }: CertificateFacts): string[] {
  return [
    `  subject      ${subject}`,
    `  issuer       ${issuer === subject ? 'itself' : issuer}`,
    `  valid        ${validFrom.slice(0, 10)} to ${validTo.slice(0, 10)}`,
    `  fingerprint  ${fingerprint}`,
  ];
}
