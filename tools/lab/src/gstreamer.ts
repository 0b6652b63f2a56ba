// SPDX-License-Identifier: Apache-2.0
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { unpackedPlace } from './servers/daemon.js';

/** What RTP over RTSP takes: elements of GStreamer's own, RTP, its sessions, RTSP, UDP, and the reader of the media file. */
const plugins = ['rtp', 'rtpmanager', 'rtsp', 'udp', 'wavparse'];

/** The folder of a Debian package's libraries: `usr/lib/x86_64-linux-gnu` and its like. */
function libraries(place: string): string | undefined {
  return readdirSync(join(place, 'usr/lib'))
    .map((entry) => join(place, 'usr/lib', entry))
    .find((path) => basename(path).includes('-linux-'));
}

/** The folders that GStreamer's RTSP needs, or undefined when one of the packages is not there. */
function folders(): { plugins: string[]; server: string } | undefined {
  const good = unpackedPlace('gstreamer1.0-plugins-good', 'usr/lib');
  const rtsp = unpackedPlace('libgstrtspserver-1.0-0', 'usr/lib');
  if (good === undefined || rtsp === undefined || !existsSync('/usr/bin/gst-launch-1.0')) return undefined;
  const [goodLibraries, server] = [libraries(good), libraries(rtsp)];
  if (goodLibraries === undefined || server === undefined) return undefined;
  const core = join('/usr/lib', basename(server), 'gstreamer-1.0/libgstcoreelements.so');
  const files = plugins.map((name) => join(goodLibraries, `gstreamer-1.0/libgst${name}.so`));
  return { plugins: [core, ...files], server };
}

/** Whether GStreamer is installed, and its RTSP unpacked; a test that misses it is to say so. */
export function hasGstreamer(): boolean {
  return folders()?.plugins.every((file) => existsSync(file)) ?? false;
}

/** An environment in which GStreamer has these few plugins and keeps its files in that directory. Throws when they are missing. */
export async function gstreamerEnvironment(directory: string): Promise<Record<string, string>> {
  const found = folders();
  if (found === undefined) throw new Error('GStreamer is not there: run `npm run setup`');
  const own = join(directory, 'plugins');
  await mkdir(own);
  for (const file of found.plugins) await symlink(file, join(own, basename(file)));
  return {
    HOME: directory,
    LD_LIBRARY_PATH: found.server,
    GST_PLUGIN_SYSTEM_PATH_1_0: '',
    GST_PLUGIN_PATH_1_0: own,
    GST_REGISTRY_1_0: join(directory, 'registry.bin'),
    // The scanner of plugins is a program of another package.
    GST_REGISTRY_FORK: 'no',
  };
}
