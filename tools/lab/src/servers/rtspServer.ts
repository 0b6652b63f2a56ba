// SPDX-License-Identifier: Apache-2.0
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gstreamerEnvironment } from '../gstreamer.js';
import type { Namespace } from '../namespace.js';
import { daemonDirectory, startDaemon, type Daemon } from './daemon.js';

/** What the server is given. It listens on one family. */
export interface RtspServerOptions {
  /** Where it listens. */
  address: string;
  /** Default 554. */
  port?: number;
  /** A-law sound at 8,000 bytes a second, for everybody who asks for `/media`. */
  media: Uint8Array;
}

/** GStreamer's RTSP server is a library; this is the program around it. */
const program = `
import ctypes, sys
gst, rtsp, glib = (ctypes.CDLL(name) for name in ('libgstreamer-1.0.so.0', 'libgstrtspserver-1.0.so.0', 'libglib-2.0.so.0'))
pointer, text = ctypes.c_void_p, ctypes.c_char_p
def function(library, name, result, *arguments):
    f = getattr(library, name)
    f.restype, f.argtypes = result, arguments
    return f
address, port, pipeline = (argument.encode() for argument in sys.argv[1:])
function(gst, 'gst_init', None, pointer, pointer)(None, None)
server = function(rtsp, 'gst_rtsp_server_new', pointer)()
function(rtsp, 'gst_rtsp_server_set_address', None, pointer, text)(server, address)
function(rtsp, 'gst_rtsp_server_set_service', None, pointer, text)(server, port)
factory = function(rtsp, 'gst_rtsp_media_factory_new', pointer)()
function(rtsp, 'gst_rtsp_media_factory_set_launch', None, pointer, text)(factory, pipeline)
mounts = function(rtsp, 'gst_rtsp_server_get_mount_points', pointer, pointer)(server)
function(rtsp, 'gst_rtsp_mount_points_add_factory', None, pointer, text, pointer)(mounts, b'/media', factory)
if function(rtsp, 'gst_rtsp_server_attach', ctypes.c_uint, pointer, pointer)(server, None) == 0:
    sys.exit('cannot listen')
loop = function(glib, 'g_main_loop_new', pointer, pointer, ctypes.c_int)(None, 0)
function(glib, 'g_main_loop_run', None, pointer)(loop)
`;

/** Starts GStreamer's RTSP server. Rejects with its log when it does not listen. */
export async function startRtspServer(
  namespace: Namespace,
  { address, port = 554, media }: RtspServerOptions,
): Promise<Daemon> {
  const directory = await daemonDirectory(namespace, 'rtsp-server');
  const file = join(directory, 'media.wav');
  await writeFile(file, wav(media));
  await mkdir(join(directory, 'gstreamer'));
  const env = await gstreamerEnvironment(join(directory, 'gstreamer'));
  const pipeline = `( filesrc location=${file} ! wavparse ! rtppcmapay name=pay0 pt=8 )`;
  return startDaemon(
    namespace,
    { name: 'GStreamer RTSP server', protocol: 'tcp', port },
    ['python3', '-c', program, address, String(port), pipeline],
    { env: { ...env, GST_DEBUG: 'rtspclient:4,2', GST_DEBUG_NO_COLOR: '1' }, cwd: directory },
  );
}

/** A-law, one channel, 8,000 samples of one byte a second: RFC 3551, 4.5.14, in a RIFF file. */
function wav(media: Uint8Array): Uint8Array {
  const header = Buffer.alloc(46);
  header.write('RIFF', 0, 'latin1');
  header.writeUInt32LE(38 + media.length, 4);
  header.write('WAVEfmt ', 8, 'latin1');
  header.writeUInt32LE(18, 16);
  header.writeUInt16LE(6, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(8000, 24);
  header.writeUInt32LE(8000, 28);
  header.writeUInt16LE(1, 32);
  header.writeUInt16LE(8, 34);
  header.write('data', 38, 'latin1');
  header.writeUInt32LE(media.length, 42);
  return Buffer.concat([header, media]);
}
