// A bar on the terminal for runs that take longer than a second; nothing where stderr is no terminal.
const BAR_WIDTH = 40;
const FIRST_AFTER_MS = 1000;
const EVERY_MS = 200;

export interface ProgressBar {
  show(share: number, count: number): void;
  clear(): void;
}

/** `what` is counted, a second. */
export function progressBar(stream: { isTTY?: boolean; write(text: string): unknown }, what = 'readings'): ProgressBar {
  const startMs = performance.now();
  let nextMs = startMs + FIRST_AFTER_MS;
  let isShown = false;
  return {
    show(share, count) {
      const nowMs = performance.now();
      if (stream.isTTY !== true || nowMs < nextMs) return;
      nextMs = nowMs + EVERY_MS;
      isShown = true;
      const filled = Math.round(share * BAR_WIDTH);
      const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
      const perS = Number((count / ((nowMs - startMs) / 1000)).toPrecision(3)).toLocaleString('en');
      stream.write(`\r${bar} ${(share * 100).toFixed(0).padStart(3)} %  ${perS} ${what}/s `);
    },
    clear() {
      if (isShown) stream.write('\r\u001b[K');
    },
  };
}
