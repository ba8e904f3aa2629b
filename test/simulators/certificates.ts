// A private certificate authority as a DNO would have one, made with OpenSSL in a scratch folder: the broker's
// certificate, those of substations, and ones that are wrong in a known way.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export class Authority {
  readonly folder: string;
  readonly ca: string;
  readonly #key: string;
  #made = 0;

  constructor(name: string) {
    this.folder = mkdtempSync(join(tmpdir(), 'headroom-ca-'));
    this.ca = join(this.folder, 'ca.pem');
    this.#key = join(this.folder, 'ca.key');
    writeFileSync(join(this.folder, 'index.txt'), '');
    openssl('req', '-x509', ...NEW_KEY, '-keyout', this.#key, '-out', this.ca, '-days', '3650', '-subj', `/CN=${name}`);
  }

  /** `names` as OpenSSL writes them: `DNS:localhost,IP:127.0.0.1`. Days count from now; negative ones are over. */
  issue(commonName: string, { names = '', days = 365 }: { names?: string; days?: number } = {}): Pair {
    const stem = join(this.folder, `${commonName}-${++this.#made}`);
    const [cert, key, request, more] = [`${stem}.pem`, `${stem}.key`, `${stem}.csr`, `${stem}.ext`];
    openssl('req', ...NEW_KEY, '-keyout', key, '-out', request, '-subj', `/CN=${commonName}`);
    writeFileSync(more, names === '' ? 'basicConstraints=CA:FALSE\n' : `subjectAltName=${names}\n`);
    const at = (offsetDays: number) =>
      `${new Date(Date.now() + offsetDays * 86_400_000).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;
    const config = join(this.folder, 'ca.cnf');
    writeFileSync(
      config,
      `[ca]\ndefault_ca=d\n[d]\ndatabase=${join(this.folder, 'index.txt')}\nnew_certs_dir=${this.folder}\ndefault_md=sha256\npolicy=p\nunique_subject=no\nrand_serial=yes\n[p]\ncommonName=supplied\n`,
    );
    openssl(
      'ca',
      '-batch',
      '-config',
      config,

      '-notext',
      '-in',
      request,
      '-out',
      cert,
      '-cert',
      this.ca,
      '-keyfile',
      this.#key,
      '-extfile',
      more,
      '-startdate',
      at(Math.min(-1, days - 10)),
      '-enddate',
      at(days),
    );
    return { cert, key };
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

function openssl(...args: string[]): void {
  try {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    throw new Error(String((error as { stderr?: Buffer }).stderr));
  }
}
