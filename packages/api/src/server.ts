// SPDX-License-Identifier: Apache-2.0
import type { EngineView, ReloadResult } from '@relatd/model';
import { BACKLOG, closeHttpServer, newHttpServer, type Timeouts } from './http.js';
import { EventHub } from './hub.js';
import { addReadRoutes, addReloadRoute, type Source } from './routes.js';
import { socketFailure, takePlace } from './socket.js';

/** A listening API. Until `serve` is called every request is answered with 503: the datapath is being loaded. */
export interface ApiServer {
  readonly socketPath: string;
  /** Begins to answer from `view`. */
  serve(view: EngineView): void;
  /** Ends event streams, waits for answers under way (at most a second), removes the socket. */
  close(): Promise<void>;
}

export interface ApiServerOptions {
  readonly socketPath: string;
  /** Whose members may connect. Null or absent: `relatd`, where the host has that group. */
  readonly group?: string | null;
  /** For tests. */
  readonly timeouts?: Timeouts;
  /** How a reload is done; by default `view.reload()`. */
  readonly reload?: () => Promise<ReloadResult>;
}

/**
 * Listens on the unix socket and takes it only if no other daemon answers there.
 * @throws ListenError `API_SOCKET_IN_USE`, `API_SOCKET_NOT_A_SOCKET`, `API_SOCKET_PATH`, `API_SOCKET_DENIED`,
 * `API_SOCKET_FAILED`, `API_GROUP_MISSING`
 */
export async function listenApi(options: ApiServerOptions): Promise<ApiServer> {
  const place = await takePlace(options.socketPath, options.group ?? null);
  let source: Source | null = null;
  const app = newHttpServer(options.timeouts);
  addReadRoutes(app, () => source);
  addReloadRoute(app, () => source, options.reload ?? null);
  try {
    await app.listen({ path: place.temporary, backlog: BACKLOG });
    await place.publish();
  } catch (error) {
    await app.close();
    throw socketFailure(options.socketPath, error);
  }
  return {
    socketPath: options.socketPath,
    serve(view) {
      source = { view, hub: new EventHub(view) };
    },
    async close() {
      // The name first: who looks for a daemon from now on finds none, or the next one.
      await place.withdraw();
      source?.hub.close();
      await closeHttpServer(app);
    },
  };
}
