// SPDX-License-Identifier: Apache-2.0
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Lab, availableTftpServers, startTftpServer, tftpTransfer } from '@relatd/lab';
import { describe, expect, it } from 'vitest';
import { failed, nothing, openStage, transfers } from './support/chains.js';
import { startGateway } from './support/gateway.js';
import { download, mustDownload, serve } from './support/session.js';

const config = {
  interfaces: ['eth0', 'eth1'],
  assignments: [{ name: 'ftp-2121', helper: 'ftp', port: 2121 }],
  related: 'conntrack',
} as const;

/** As it stands on hosts that have nf_conntrack_ftp; nothing in it knows of relatd. */
const oldRules = `table inet filter {
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ct state new tcp dport 2121 accept
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    ct state new tcp dport 2121 accept
  }
  chain output {
    type filter hook output priority filter; policy drop;
    ct state established,related accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ct state new tcp dport 2121 accept
  }
}
`;

describe('related: conntrack', () => {
  it('existing rules work unchanged, in INPUT, FORWARD and OUTPUT', async () => {
    await using site = await openStage({ config });
    const { lab, gateway } = site;
    await lab.gateway.nft(oldRules);
    const watch = await lab.gateway.spawn('conntrack', ['-E', '-p', 'tcp']);
    expect(failed(await transfers(site)), `${gateway.history()}\n${gateway.daemon.stderr}`).toEqual([]);
    const { conntrack, warnings } = await gateway.client().status();
    expect(conntrack).toEqual({ made: 12, withoutMaster: 0, failed: 0, problems: [] });
    expect(warnings).toEqual([]);
    await watch.stop();
    // `conntrack -E` shows each as made, and as answered once the packet went on.
    expect(watch.stdout).toMatch(/\[NEW\].*src=10\.77\.1\.2 dst=10\.77\.2\.2 .*dport=4\d{4}/);
    const list = await lab.gateway.run('conntrack', ['-L', '-p', 'tcp', '--src', lab.client.ipv4]);
    expect(list).toMatch(/dst=10\.77\.2\.2 sport=\d+ dport=4\d{4} .*\[ASSURED\]/);

    // The counters of a flow know each packet once, held or not.
    for (const { flow } of gateway.of('related.end')) expect(flow.packets.original).toBeGreaterThan(2);

    // Not in connection tracking: the mark alone, and status says so.
    await lab.gateway.nft(`table inet raw {
      chain prerouting { type filter hook prerouting priority raw; tcp dport 2121 notrack; tcp sport 2121 notrack; }
    }`);
    await lab.gateway.nft(
      'insert rule inet filter forward tcp sport 2121 accept\ninsert rule inet filter forward tcp dport 2121 accept\n',
    );
    expect((await download(lab.client, { server: lab.server.ipv4, timeoutMs: 1500 })).code).not.toBe(0);
    const after = await gateway.client().status();
    expect(after.conntrack).toMatchObject({ made: 12, withoutMaster: 1 });
    expect(after.warnings.join('\n')).toMatch(/^1 related connections have the mark alone: .*notrack/m);
    await lab.gateway.nft('delete table inet raw');
    expect((await download(lab.client, { server: lab.server.ipv4 })).code, gateway.history()).toBe(0);

    // While the daemon is away: the mark alone.
    await gateway.kill();
    expect(Object.values(await transfers(site, nothing))).not.toContain(true);
    await lab.gateway.nft('insert rule inet filter forward meta mark & 0xff000000 == 0x52000000 accept');
    expect((await download(lab.client, { server: lab.server.ipv4 })).code).toBe(0);
    await gateway.start();
  });

  it('works behind masquerade and DNAT on the gateway', async () => {
    await using lab = await Lab.create({ masquerade: true });
    await lab.gateway.nft(oldRules);
    await lab.gateway.nft(`table ip way-in {
      chain prerouting {
        type nat hook prerouting priority dstnat;
        iifname "eth0" ip daddr ${lab.client.gatewayIpv4} tcp dport { 2121, 40000-40999 } dnat to ${lab.server.ipv4}
      }
    }`);
    await using gateway = await startGateway(lab, { config, firewall: 'none' });
    await using _server = await serve(lab.server);
    for (const family of ['ipv4', 'ipv6'] as const) {
      await mustDownload(gateway, lab.client, { server: lab.server[family], extended: true });
    }
    await mustDownload(gateway, lab.client, { server: lab.server.ipv4, extended: false });
    await mustDownload(gateway, lab.client, { server: lab.client.gatewayIpv4, extended: true });
    expect((await gateway.client().status()).conntrack).toMatchObject({ made: 4, withoutMaster: 0, failed: 0 });
  });

  it('holds first packets on interfaces without Ethernet header, and of UDP, too', async () => {
    await using lab = await Lab.create({ tun: true });
    await lab.gateway.nft(oldRules);
    await lab.gateway.nft('add rule inet filter forward ct state new udp dport 69 accept\n');
    const assignments = [...config.assignments, { helper: 'tftp', port: 69 }];
    await using gateway = await startGateway(lab, { config: { ...config, assignments }, firewall: 'none' });
    await using _server = await serve(lab.server);
    for (const family of ['ipv4', 'ipv6'] as const) {
      await mustDownload(gateway, lab.client, { server: lab.server[family], mode: 'passive' });
      await mustDownload(gateway, lab.client, { server: lab.server[family], mode: 'active' });
    }
    if (availableTftpServers().includes('tftpd-hpa')) {
      await using tftp = await startTftpServer('tftpd-hpa', lab.server);
      const content = Buffer.alloc(2000, 7);
      await writeFile(join(tftp.root, 'down.bin'), content);
      const what = { server: lab.server.ipv4, op: 'get', file: 'down.bin', content, root: tftp.root } as const;
      expect(await tftpTransfer(lab.client, 'curl', what), gateway.history()).toMatchObject({ code: 0, bytesOk: true });
    }
    const { conntrack, counters } = await gateway.client().status();
    expect(conntrack).toMatchObject({ withoutMaster: 0, failed: 0 });
    expect(counters).toMatchObject({ 'hold-unknown': 0, 'hold-failed': 0 });
  });
});
