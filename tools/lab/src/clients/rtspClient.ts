// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { gstreamerEnvironment } from '../gstreamer.js';
import type { Namespace } from '../namespace.js';

/** What is asked of an RTSP server. */
export interface RtspPlay {
  server: string;
  /** Default 554. */
  port?: number;
  /** Milliseconds without media after which the client gives up, default 5,000. */
  patienceMs?: number;
  /** Milliseconds for the whole, default 20,000. */
  timeoutMs?: number;
}

/** What came of it. */
export interface RtspResult {
  /**
   * Whether the stream came to its end. The client's exit code does not tell: what it says after that may find the connection
   * closed by the server, which it takes for an error.
   */
  ended: boolean;
  output: string;
  /** The media that arrived, in order. */
  media: Uint8Array;
}

/** Plays `/media` of an RTSP server with GStreamer's client over UDP, and keeps what comes. */
export async function rtspPlay(
  namespace: Namespace,
  { server, port = 554, patienceMs = 5000, timeoutMs = 20_000 }: RtspPlay,
): Promise<RtspResult> {
  const directory = await mkdtemp(join(await namespace.directory(), 'rtsp-'));
  const env = await gstreamerEnvironment(directory);
  const file = join(directory, 'media.alaw');
  const host = isIPv6(server) ? `[${server}]` : server;
  const seconds = Math.ceil(timeoutMs / 1000);
  const result = await namespace.exec(
    'timeout',
    [
      ...['-k', '1', String(seconds), 'gst-launch-1.0', '--no-position'],
      ...['rtspsrc', `location=rtsp://${host}:${port}/media`, `protocols=udp`, `timeout=${patienceMs * 1000}`],
      ...['latency=200', '!', 'rtppcmadepay', '!', 'filesink', `location=${file}`],
    ],
    { env: { ...env, GST_DEBUG: 'rtspsrc:4,2', GST_DEBUG_NO_COLOR: '1' }, cwd: directory, timeoutMs: timeoutMs + 5000 },
  );
  const media = await readFile(file).catch(() => new Uint8Array());
  const output = result.stdout + result.stderr;
  return { ended: /^Got EOS from element/m.test(output), output, media };
}
