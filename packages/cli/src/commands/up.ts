// SPDX-License-Identifier: Apache-2.0
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { listenApi, listenMetrics, type ApiServer, type MetricsServer } from '@relatd/api';
import { messageOf } from '@relatd/client';
import type { Config } from '@relatd/config';
import { startDaemon, type Daemon } from '@relatd/engine';
import type { ReloadResult } from '@relatd/model';
import type { Logger } from 'pino';
import { DEFAULT_CONFIG, type Run } from '../commands.js';
import { configuration } from '../configuration.js';
import { print, type Context } from '../context.js';
import { EXIT_DONE } from '../failure.js';
import { valueOf } from '../list.js';
import { newLogger } from '../log.js';
import { ServiceManager } from '../serviceManager.js';

/** `relatd up`: the daemon, in the foreground, until SIGINT or SIGTERM; SIGHUP reloads. */
export const run: Run = async (context, { options }) => {
  const stop = context.interrupted();
  // A reload finds the same file wherever the process is by then.
  const file = resolve(valueOf(options['config']) ?? DEFAULT_CONFIG);
  const { listen } = await configuration(file, context);
  const logger = newLogger(options['verbose'] === true);
  const socketPath = valueOf(options['socket']) ?? socketFromEnvironment(context) ?? listen.socket;

  const manager = new ServiceManager(context.env, (message) => {
    logger.warn(message);
  });
  const listeners = new Listeners(logger, manager);
  const hangUp = () => {
    void listeners.reload().catch((error: unknown) => {
      logger.error({ problems: problemsOf(error) }, `reload refused, nothing has changed: ${messageOf(error)}`);
    });
  };
  process.on('SIGHUP', hangUp);
  try {
    // Before the datapath: a second daemon at this socket leaves without having touched anything. And before the engine
    // enters another network namespace: metrics stay in the caller's.
    await listeners.open(socketPath, listen);
    const daemon = await startDaemon({
      configPath: file,
      netns: valueOf(options['netns']),
      socketPath,
      ephemeral: options['ephemeral'] === true,
      discardState: options['discardState'] === true,
      logger,
    });
    try {
      listeners.serve(daemon);
      manager.ready(daemon.ready);
      await print(context.stdout, `relatd ready ${daemon.ready}`.trimEnd());
      await aborted(stop);
      manager.stopping();
      logger.info({ signal: stop.reason as unknown }, 'stopping');
    } finally {
      await daemon.stop();
    }
  } finally {
    process.off('SIGHUP', hangUp);
    manager.close();
    await listeners.close();
  }
  return EXIT_DONE;
};

/** The socket and the metrics port of one daemon. */
class Listeners {
  readonly #logger: Logger;
  readonly #manager: ServiceManager;
  #api: ApiServer | null = null;
  #metrics: MetricsServer | null = null;
  #daemon: Daemon | null = null;
  #reloaded: Promise<unknown> = Promise.resolve();

  constructor(logger: Logger, manager: ServiceManager) {
    this.#logger = logger;
    this.#manager = manager;
  }

  async open(socketPath: string, { group, metrics, tokenFile }: Config['listen']): Promise<void> {
    this.#api = await listenApi({ socketPath, group, reload: () => this.reload() });
    if (metrics === null) return;
    this.#metrics = await listenMetrics({ ...metrics, tokenFile, dashboard: dashboardFolder() });
    this.#logger.info(`dashboard at http://${this.#metrics.address}/`);
  }

  serve(daemon: Daemon): void {
    this.#daemon = daemon;
    this.#api?.serve(daemon);
    this.#metrics?.serve(daemon);
  }

  /** Applies the changed file; one after the other, whoever asks. */
  reload(): Promise<ReloadResult> {
    const result = this.#reloaded.then(() => this.#reload());
    this.#reloaded = result.catch(() => undefined);
    return result;
  }

  async #reload(): Promise<ReloadResult> {
    const daemon = this.#daemon;
    // The file is read at the end of the start-up anyway.
    if (daemon === null) return { changed: false, messages: ['the daemon is still starting'] };
    this.#manager.reloading();
    const result = await daemon.reload().finally(() => {
      // Refused or not: it serves.
      this.#manager.ready(daemon.ready);
    });
    this.#logger.info({ changed: result.changed, messages: result.messages }, 'configuration reloaded');
    return result;
  }

  async close(): Promise<void> {
    await this.#metrics?.close();
    await this.#api?.close();
  }
}

/** Where the dashboard was built; null where it was not. */
function dashboardFolder(): string | null {
  try {
    return dirname(createRequire(import.meta.url).resolve('@relatd/dashboard/index.html'));
  } catch {
    return null;
  }
}

function socketFromEnvironment({ env }: Context): string | null {
  const path = env['RELATD_SOCKET'];
  return path === undefined || path === '' ? null : path;
}

function problemsOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'problems' in error ? error.problems : undefined;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else {
      signal.addEventListener(
        'abort',
        () => {
          resolve();
        },
        { once: true },
      );
    }
  });
}
