// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { hasGstreamer, rtspPlay, startRtspServer } from '@relatd/lab';
import { describe, expect, it } from 'vitest';
import type { Firewall } from './support/gateway.js';
import { useGateway } from './support/useGateway.js';

const firewalls = ['nft', 'iptables', 'mark-only'] as const satisfies readonly Firewall[];
const families = ['ipv4', 'ipv6'] as const;

const common = {
  interfaces: ['eth0', 'eth1'],
  // relatd does not know RTSP: the operator tells it.
  helpers: [fileURLToPath(new URL('../examples/rtsp.yaml', import.meta.url))],
};
const config = { ...common, assignments: [{ helper: 'rtsp', port: 554 }] };
/** Nobody uses port 8554. */
const elsewhere = { ...common, assignments: [{ helper: 'rtsp', port: 8554 }] };
/** 554 is accepted even while nothing is assigned to it. */
const controlPorts = [554];

/** A second of sound. */
const media = randomBytes(8000);

describe.each(firewalls)('behind a firewall that drops, %s:', (firewall) => {
  const site = useGateway({}, { config, firewall, controlPorts });

  it.for(families)('without an assignment the dialogue works, and no media come, over %s', async (family, context) => {
    const { lab, gateway } = site();
    if (!hasGstreamer()) context.skip('GStreamer is not installed and unpacked');
    const address = lab.server[family];
    await using server = await startRtspServer(lab.server, { address, media });
    const from = gateway.events.length;
    await gateway.reload(elsewhere);
    try {
      const result = await rtspPlay(lab.client, { server: address, patienceMs: 1500 });
      const story = `${result.output}\n${await server.log()}`;
      expect(result.ended, story).toBe(false);
      expect(result.output, story).toMatch(/Could not receive any UDP packets/);
      expect(result.media).toHaveLength(0);
      expect(gateway.events.slice(from).filter(({ type }) => type.endsWith('.new'))).toEqual([]);
    } finally {
      await gateway.reload(config);
    }
  });

  it.for(families)('with it, all media arrive, by related flows, over %s', async (family, context) => {
    const { lab, gateway } = site();
    if (!hasGstreamer()) context.skip('GStreamer is not installed and unpacked');
    const address = lab.server[family];
    await using server = await startRtspServer(lab.server, { address, media });
    const from = gateway.events.length;
    const result = await rtspPlay(lab.client, { server: address });
    const story = `${result.output}\n${await server.log()}\n${gateway.history()}`;
    expect(result.ended, story).toBe(true);
    expect(Buffer.compare(result.media, media), story).toBe(0);

    // Media and what is reported about them (RTP and RTCP), each by a flow of its own.
    const first = await gateway.event('related.new', (event) => gateway.events.indexOf(event) >= from);
    await gateway.event('related.new', (event) => gateway.events.indexOf(event) > gateway.events.indexOf(first));
    for (const { flow } of gateway.of('related.new').filter((event) => gateway.events.indexOf(event) >= from)) {
      expect(flow).toMatchObject({
        ...{ helper: 'rtsp', assignment: 'rtsp', protocol: 'udp', mark: '0x52000000', master: first.flow.master },
      });
      expect([flow.source.address, flow.destination.address].sort()).toEqual(
        [lab.client[family], lab.server[family]].sort(),
      );
    }
    expect(gateway.of('expectation.refused')).toEqual([]);
  });
});
