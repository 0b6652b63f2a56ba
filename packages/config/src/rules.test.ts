// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { parseConfig } from './load.js';
import { iptablesRules, nftRules, sharedMark } from './rules.js';

function config(text: string) {
  const result = parseConfig(text, 'f');
  if (result.problems !== undefined) throw new Error(JSON.stringify(result.problems));
  return result.config;
}

const TWO = config(`
assignments:
  - { helper: ftp, port: 21, data: { ports: 40000-49999 } }
  - { helper: ftp, name: ftp-2120, port: 2120, data: { ports: 40000-49999 } }
  - { helper: ftp, name: ftp-2121, port: 2121, mark: 0x53000000, data: { ports: 50000 } }
`);

/** Runs a shell script in a network namespace of its own, which ends with it. */
function inNamespace(script: string): { status: number | null; output: string } {
  const run = spawnSync('unshare', ['--net', 'sh', '-eu'], { input: script, encoding: 'utf8', timeout: 30_000 });
  return { status: run.status, output: `${run.stdout}${run.stderr}` };
}

const missing = ((): string | null => {
  if (process.getuid?.() !== 0) return 'not root';
  const probe = inNamespace(
    'ip link set lo up; nft list ruleset; iptables -w -S >/dev/null; ip6tables -w -S >/dev/null',
  );
  return probe.status === 0 ? null : `no network namespace, nft, iptables or ip6tables: ${probe.output.trim()}`;
})();
if (missing !== null) console.warn(`SKIPPED: the printed rules are not loaded into a kernel (${missing})`);

/** Prints for each port whether a connection to it over loopback succeeds. Answers come by `established`. */
function knock(host: string, ports: readonly number[]): string {
  const code = `
    const net = require('node:net');
    (async () => {
      for (const port of ${JSON.stringify(ports)}) {
        const server = net.createServer((socket) => socket.end('x')).listen(port, '${host}');
        await new Promise((done) => server.once('listening', done));
        const word = await new Promise((done) => {
          const socket = net.connect({ port, host: '${host}' }, () => {});
          const timer = setTimeout(() => { socket.destroy(); done('dropped'); }, 400);
          socket.on('data', () => { clearTimeout(timer); socket.destroy(); done('open'); });
          socket.on('error', (error) => { clearTimeout(timer); done(error.code); });
        });
        console.log('${host} ' + port + ' ' + word);
        server.close();
      }
      process.exit();
    })();`;
  return `${process.execPath} -e '${code.replaceAll("'", `'\\''`)}'`;
}

const PORTS = [40001, 40002, 39999, 50000, 50001];
/** What a connection needs besides its mark is that its port may be announced with that mark. */
const ANSWERS = ['40001 open', '40002 dropped', '39999 dropped', '50000 open', '50001 dropped'];
const EXPECTED = ['127.0.0.1', '::1'].flatMap((host) => ANSWERS.map((answer) => `${host} ${answer}`));

describe('rules', () => {
  it('for nft', () => {
    expect(nftRules(TWO)).toMatchInlineSnapshot(`
      "# Accepts what relatd marks as RELATED: new connections by mark, the rest by connection tracking.
      #   relatd rules nft | nft -f -    makes chain relatd in table inet filter, with jumps from input, forward and output
      # nftables drops what any base chain drops. If your firewall is not in these chains of table inet filter, write its
      # names here instead, or paste the rules of chain relatd into your own chains before what drops.
      # Control connections need a rule of yours, like: tcp dport 21 accept
      table inet filter {
      	chain input {
      		type filter hook input priority filter
      	}
      	chain forward {
      		type filter hook forward priority filter
      	}
      	chain output {
      		type filter hook output priority filter
      	}
      	chain relatd {
      	}
      }
      flush chain inet filter relatd
      table inet filter {
      	chain relatd {
      		ct state established accept comment "relatd: the rest of accepted connections"
      		# Only needed if you want what connection tracking itself calls related: ICMP errors of accepted connections.
      		# meta l4proto { icmp, icmpv6 } ct state related accept
      		meta mark & 0xff000000 == 0x52000000 ct state new,related tcp dport 40000-49999 accept comment "relatd: ftp ftp-2120"
      		meta mark & 0xff000000 == 0x53000000 ct state new,related tcp dport 50000 accept comment "relatd: ftp-2121"
      	}
      }
      # Only the first time: each further one adds a jump that does nothing more.
      insert rule inet filter input jump relatd
      insert rule inet filter forward jump relatd
      insert rule inet filter output jump relatd
      "
    `);
  });

  it('for iptables', () => {
    expect(iptablesRules(TWO)).toMatchInlineSnapshot(`
      "# Accepts what relatd marks as RELATED: new connections by mark, the rest by connection tracking.
      #   relatd rules iptables | sh    makes chain relatd, with jumps first in INPUT, FORWARD and OUTPUT; can be run again
      # Control connections need a rule of yours, like: iptables -A FORWARD -p tcp --dport 21 -j ACCEPT
      iptables -w -N relatd 2>/dev/null || iptables -w -F relatd
      iptables -w -A relatd -m conntrack --ctstate ESTABLISHED -m comment --comment "relatd: the rest of accepted connections" -j ACCEPT
      # Only needed if you want what connection tracking itself calls related: ICMP errors of accepted connections.
      # iptables -w -A relatd -p icmp -m conntrack --ctstate RELATED -j ACCEPT
      iptables -w -A relatd -p tcp --dport 40000:49999 -m mark --mark 0x52000000/0xff000000 -m conntrack --ctstate NEW,RELATED -m comment --comment "relatd: ftp ftp-2120" -j ACCEPT
      iptables -w -A relatd -p tcp --dport 50000 -m mark --mark 0x53000000/0xff000000 -m conntrack --ctstate NEW,RELATED -m comment --comment "relatd: ftp-2121" -j ACCEPT
      iptables -w -C INPUT -j relatd 2>/dev/null || iptables -w -I INPUT -j relatd
      iptables -w -C FORWARD -j relatd 2>/dev/null || iptables -w -I FORWARD -j relatd
      iptables -w -C OUTPUT -j relatd 2>/dev/null || iptables -w -I OUTPUT -j relatd
      ip6tables -w -N relatd 2>/dev/null || ip6tables -w -F relatd
      ip6tables -w -A relatd -m conntrack --ctstate ESTABLISHED -m comment --comment "relatd: the rest of accepted connections" -j ACCEPT
      # Only needed if you want what connection tracking itself calls related: ICMP errors of accepted connections.
      # ip6tables -w -A relatd -p ipv6-icmp -m conntrack --ctstate RELATED -j ACCEPT
      ip6tables -w -A relatd -p tcp --dport 40000:49999 -m mark --mark 0x52000000/0xff000000 -m conntrack --ctstate NEW,RELATED -m comment --comment "relatd: ftp ftp-2120" -j ACCEPT
      ip6tables -w -A relatd -p tcp --dport 50000 -m mark --mark 0x53000000/0xff000000 -m conntrack --ctstate NEW,RELATED -m comment --comment "relatd: ftp-2121" -j ACCEPT
      ip6tables -w -C INPUT -j relatd 2>/dev/null || ip6tables -w -I INPUT -j relatd
      ip6tables -w -C FORWARD -j relatd 2>/dev/null || ip6tables -w -I FORWARD -j relatd
      ip6tables -w -C OUTPUT -j relatd 2>/dev/null || ip6tables -w -I OUTPUT -j relatd
      "
    `);
  });

  it('of one assignment, with a word about a mark that it shares', () => {
    const ftp = nftRules(TWO, { assignment: 'ftp' });
    expect(ftp.match(/^.*\baccept comment.*$/gm)).toHaveLength(2);
    expect(ftp).toContain('tcp dport 40000-49999 accept comment "relatd: ftp"\n');
    expect(ftp).toMatchInlineSnapshot(`
      "# Accepts what relatd marks as RELATED: new connections by mark, the rest by connection tracking.
      #   relatd rules nft | nft -f -    makes chain relatd in table inet filter, with jumps from input, forward and output
      # nftables drops what any base chain drops. If your firewall is not in these chains of table inet filter, write its
      # names here instead, or paste the rules of chain relatd into your own chains before what drops.
      # Only assignment ftp: chain relatd has no other rules once this is loaded.
      # ftp shares the mark 0x52000000 with ftp-2120: rules by mark cannot tell them apart; give ftp one of its own with "mark: 0x54000000".
      # Control connections need a rule of yours, like: tcp dport 21 accept
      table inet filter {
      	chain input {
      		type filter hook input priority filter
      	}
      	chain forward {
      		type filter hook forward priority filter
      	}
      	chain output {
      		type filter hook output priority filter
      	}
      	chain relatd {
      	}
      }
      flush chain inet filter relatd
      table inet filter {
      	chain relatd {
      		ct state established accept comment "relatd: the rest of accepted connections"
      		# Only needed if you want what connection tracking itself calls related: ICMP errors of accepted connections.
      		# meta l4proto { icmp, icmpv6 } ct state related accept
      		meta mark & 0xff000000 == 0x52000000 ct state new,related tcp dport 40000-49999 accept comment "relatd: ftp"
      	}
      }
      # Only the first time: each further one adds a jump that does nothing more.
      insert rule inet filter input jump relatd
      insert rule inet filter forward jump relatd
      insert rule inet filter output jump relatd
      "
    `);
    const own = iptablesRules(TWO, { assignment: 'ftp-2121', by: 'mark' });
    expect(own).not.toContain('relatd: ftp ');
    expect(own).toContain('--comment "relatd: ftp-2121"');
    expect(own).toContain(
      '# Only assignment ftp-2121: chain relatd has no other rules once this is loaded.\n# Control',
    );
    expect(sharedMark(TWO, 'ftp-2121')).toBeNull();
  });

  it('propose a mark that is free, if there is one', () => {
    const sharing = (mark: string): string | null =>
      sharedMark(
        config(`
mark: ${mark}
assignments:
  - { helper: ftp, name: a, port: 1 }
  - { helper: ftp, name: b, port: 2 }`),
        'b',
      );
    expect(sharing('{ mask: 0xf0000000, related: 0xf0000000 }')).toContain('with "mark: 0x10000000"');
    expect(sharing('{ mask: 0x81000000, related: 0x01000000 }')).toContain('with "mark: 0x80000000"');
    expect(sharing('{ mask: 0x80000000, related: 0x80000000 }')).toContain(
      'every other mark inside mark.mask is in use',
    );
  });

  it('for iptables by programs: one for each assignment, whatever its mark', () => {
    const rules = iptablesRules(TWO, { assignment: null, by: 'bpf' });
    expect(rules).toMatchInlineSnapshot(`
      "# Accepts what relatd calls RELATED: new connections by its programs, the rest by connection tracking.
      # The programs in /sys/fs/bpf/relatd/match have to be there: without them these rules are not accepted.
      #   relatd rules iptables | sh    makes chain relatd, with jumps first in INPUT, FORWARD and OUTPUT; can be run again
      # Control connections need a rule of yours, like: iptables -A FORWARD -p tcp --dport 21 -j ACCEPT
      iptables -w -N relatd 2>/dev/null || iptables -w -F relatd
      iptables -w -A relatd -m conntrack --ctstate ESTABLISHED -m comment --comment "relatd: the rest of accepted connections" -j ACCEPT
      # Only needed if you want what connection tracking itself calls related: ICMP errors of accepted connections.
      # iptables -w -A relatd -p icmp -m conntrack --ctstate RELATED -j ACCEPT
      iptables -w -A relatd -m bpf --object-pinned /sys/fs/bpf/relatd/match/ftp -m conntrack --ctstate NEW,RELATED -m comment --comment "relatd: ftp" -j ACCEPT
      iptables -w -A relatd -m bpf --object-pinned /sys/fs/bpf/relatd/match/ftp-2120 -m conntrack --ctstate NEW,RELATED -m comment --comment "relatd: ftp-2120" -j ACCEPT
      iptables -w -A relatd -m bpf --object-pinned /sys/fs/bpf/relatd/match/ftp-2121 -m conntrack --ctstate NEW,RELATED -m comment --comment "relatd: ftp-2121" -j ACCEPT
      iptables -w -C INPUT -j relatd 2>/dev/null || iptables -w -I INPUT -j relatd
      iptables -w -C FORWARD -j relatd 2>/dev/null || iptables -w -I FORWARD -j relatd
      iptables -w -C OUTPUT -j relatd 2>/dev/null || iptables -w -I OUTPUT -j relatd
      ip6tables -w -N relatd 2>/dev/null || ip6tables -w -F relatd
      ip6tables -w -A relatd -m conntrack --ctstate ESTABLISHED -m comment --comment "relatd: the rest of accepted connections" -j ACCEPT
      # Only needed if you want what connection tracking itself calls related: ICMP errors of accepted connections.
      # ip6tables -w -A relatd -p ipv6-icmp -m conntrack --ctstate RELATED -j ACCEPT
      ip6tables -w -A relatd -m bpf --object-pinned /sys/fs/bpf/relatd/match/ftp -m conntrack --ctstate NEW,RELATED -m comment --comment "relatd: ftp" -j ACCEPT
      ip6tables -w -A relatd -m bpf --object-pinned /sys/fs/bpf/relatd/match/ftp-2120 -m conntrack --ctstate NEW,RELATED -m comment --comment "relatd: ftp-2120" -j ACCEPT
      ip6tables -w -A relatd -m bpf --object-pinned /sys/fs/bpf/relatd/match/ftp-2121 -m conntrack --ctstate NEW,RELATED -m comment --comment "relatd: ftp-2121" -j ACCEPT
      ip6tables -w -C INPUT -j relatd 2>/dev/null || ip6tables -w -I INPUT -j relatd
      ip6tables -w -C FORWARD -j relatd 2>/dev/null || ip6tables -w -I FORWARD -j relatd
      ip6tables -w -C OUTPUT -j relatd 2>/dev/null || ip6tables -w -I OUTPUT -j relatd
      "
    `);
    expect(rules).not.toContain('0x');
    expect(iptablesRules(TWO, { assignment: 'ftp', by: 'bpf' }).match(/--object-pinned \S+/g)).toEqual(
      Array(2).fill('--object-pinned /sys/fs/bpf/relatd/match/ftp'),
    );
    const dotted = config('assignments: [{ helper: ftp, name: a.b, port: 22 }]');
    expect(iptablesRules(dotted, { assignment: 'a.b', by: 'bpf' })).toContain('relatd/match/a:b ');
  });

  it('keep comments short enough for nft', () => {
    const names = Array.from(
      { length: 40 },
      (_, index) => `{ helper: ftp, name: a${'x'.repeat(50)}${String(index)}, port: ${String(index + 1)} }`,
    );
    const rules = nftRules(config(`assignments: [${names.join(', ')}]`));
    for (const [, comment] of rules.matchAll(/comment "([^"]*)"/g)) expect(comment?.length).toBeLessThan(127);
    if (missing === null) expect(inNamespace(`nft -c -f - <<'END'\n${rules}END\n`)).toEqual({ status: 0, output: '' });
  });

  describe.skipIf(missing !== null)(missing === null ? 'in a kernel' : `in a kernel (skipped: ${missing})`, () => {
    it('nft loads them into an empty namespace', () => {
      expect(inNamespace(`nft -c -f - <<'END'\n${nftRules(TWO)}END\n`)).toEqual({ status: 0, output: '' });
    });

    it('nft accepts by mark, in a firewall that drops, loaded twice', () => {
      const { status, output } = inNamespace(`
ip link set lo up
nft -f - <<'END'
table inet filter {
  chain input { type filter hook input priority filter; policy drop; }
  chain forward { type filter hook forward priority filter; policy drop; }
}
table inet lab {
  chain output {
    type filter hook output priority mangle
    tcp dport { 40001, 39999 } meta mark set meta mark & 0x00ffffff | 0x52000000
    tcp dport { 40002, 50000, 50001 } meta mark set meta mark & 0x00ffffff | 0x53000007
  }
}
END
for round in 1 2; do
nft -f - <<'END'
${nftRules(TWO)}END
done
nft list table inet filter | grep -c 'policy drop'
nft list chain inet filter relatd | grep -c accept
${knock('127.0.0.1', PORTS)}
${knock('::1', PORTS)}
`);
      expect({ status, output: output.trim().split('\n') }).toEqual({ status: 0, output: ['2', '3', ...EXPECTED] });
    });

    it('iptables accepts by mark, in a firewall that drops, run twice', () => {
      const marking = ['iptables', 'ip6tables'].map(
        (command) => `
${command} -w -P INPUT DROP
${command} -w -P FORWARD DROP
${command} -w -t mangle -A OUTPUT -p tcp -m multiport --dports 40001,39999 -j MARK --set-mark 0x52000000/0xff000000
${command} -w -t mangle -A OUTPUT -p tcp -m multiport --dports 40002,50000,50001 -j MARK --set-mark 0x53000007/0xff000007`,
      );
      const { status, output } = inNamespace(`
ip link set lo up
${marking.join('')}
for round in 1 2; do
sh <<'END'
${iptablesRules(TWO)}END
done
for command in iptables ip6tables; do
  $command -w -S relatd | grep -c ACCEPT
  $command -w -S | grep -c -- '-j relatd'
done
${knock('127.0.0.1', PORTS)}
${knock('::1', PORTS)}
`);
      expect({ status, output: output.trim().split('\n') }).toEqual({
        status: 0,
        output: ['3', '3', '3', '3', ...EXPECTED],
      });
    });
  });
});
