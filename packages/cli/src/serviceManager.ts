// SPDX-License-Identifier: Apache-2.0
import { monotonicNs, notify } from '@relatd/datapath';
import { messageOf } from '@relatd/client';

/** What the service manager is told of the daemon's life (sd_notify(3)). Without `$NOTIFY_SOCKET` nothing is sent. */
export class ServiceManager {
  readonly #address: string;
  readonly #watchdogMs: number | null;
  readonly #failed: (message: string) => void;
  #timer: NodeJS.Timeout | null = null;
  #complained = false;

  /** `failed` is told once when the manager cannot be reached. */
  constructor(env: Readonly<Record<string, string | undefined>>, failed: (message: string) => void) {
    this.#address = env['NOTIFY_SOCKET'] ?? '';
    this.#watchdogMs = watchdogOf(env);
    this.#failed = failed;
  }

  /** Packets are being handled. From now on the event loop itself says that it lives: a loop that hangs does not. */
  ready(status: string): void {
    this.#tell('READY=1', `STATUS=${status}`);
    if (this.#watchdogMs === null || this.#address === '') return;
    this.#timer ??= setInterval(() => {
      this.#tell('WATCHDOG=1');
    }, this.#watchdogMs / 2).unref();
  }

  /** A changed configuration is being applied; {@link ready} ends that. */
  reloading(): void {
    this.#tell('RELOADING=1', `MONOTONIC_USEC=${String(monotonicNs() / 1000n)}`, 'STATUS=reloading');
  }

  /** The daemon is about to leave. */
  stopping(): void {
    this.close();
    this.#tell('STOPPING=1', 'STATUS=stopping');
  }

  /** Ends the signs of life. */
  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #tell(...lines: string[]): void {
    if (this.#address === '') return;
    try {
      notify(this.#address, lines.join('\n'));
    } catch (error) {
      if (!this.#complained) this.#failed(messageOf(error));
      this.#complained = true;
    }
  }
}

/** How long the manager waits for a sign of life, in milliseconds; null: it does not, or means another process. */
function watchdogOf(env: Readonly<Record<string, string | undefined>>): number | null {
  const microseconds = Number(env['WATCHDOG_USEC']);
  const pid = env['WATCHDOG_PID'];
  if (!Number.isSafeInteger(microseconds) || microseconds < 1000) return null;
  return pid === undefined || pid === String(process.pid) ? microseconds / 1000 : null;
}
