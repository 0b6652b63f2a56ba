// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { rtspPlay } from './clients/rtspClient.js';
import { hasGstreamer } from './gstreamer.js';
import { Lab } from './lab.js';
import { startRtspServer } from './servers/rtspServer.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 30_000 });

const root = process.getuid?.() === 0;
if (!root) console.warn('skipped: RTSP, which needs root');
if (!hasGstreamer()) console.warn('skipped: RTSP, because GStreamer is not installed and unpacked');

describe.skipIf(!root || !hasGstreamer())('RTSP', () => {
  let lab: Lab;
  const media = randomBytes(8000);

  beforeAll(async () => {
    lab = await Lab.create();
  });
  afterAll(async () => lab.close());

  it.each(['ipv4', 'ipv6'] as const)('media arrive over UDP, %s', async (family) => {
    const address = lab.server[family];
    await using server = await startRtspServer(lab.server, { address, media });
    const result = await rtspPlay(lab.client, { server: address });
    expect(result.ended, `${result.output}\n${await server.log()}`).toBe(true);
    expect(Buffer.compare(result.media, media)).toBe(0);
  });
});
