// SPDX-License-Identifier: Apache-2.0
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { jsonSchema } from '@relatd/config';
import { Namespace } from '@relatd/lab';
import type { Status } from '@relatd/model';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { commands } from '../packages/cli/src/commands.js';
import { Container } from './support/container.js';
import { debianTree } from './support/debianTree.js';

const tool = fileURLToPath(new URL('../tools/package.mjs', import.meta.url));
const documentation = new URL('../docs/deploying.md', import.meta.url);
const here = Namespace.here;

/** A node script: an FTP server on 21 and a client in the namespace `client`, whose ABOR only the daemon can judge. */
const session = `
const { createServer, connect } = require('node:net');
const { writeFileSync } = require('node:fs');
const answers = { USER: '331 password', PASS: '230 in', ABOR: '226 nothing to abort', PASV: '227 Entering Passive Mode (10,9,0,1,200,0)' };
if (process.argv[2] === 'server') {
  createServer((socket) => {
    socket.write('220 ready\\r\\n');
    socket.on('data', (data) => socket.write((answers[String(data).slice(0, 4)] ?? '500 what') + '\\r\\n'));
  }).listen(21, '10.9.0.1', () => writeFileSync('/mnt/listening', ''));
} else {
  const commands = ['USER a', 'PASS b', 'ABOR', 'PASV'];
  const socket = connect(21, '10.9.0.1');
  socket.on('data', (data) => {
    if (String(data).startsWith('227')) writeFileSync('/mnt/announced', '');
    else socket.write(commands.shift() + '\\r\\n');
  });
}
`;

describe('the Debian package', () => {
  let container: Container | undefined;
  let missing = '';
  let deb = '';

  beforeAll(async () => {
    if (process.getuid?.() !== 0) {
      missing = 'not root';
      return;
    }
    const tree = await debianTree();
    if ('missing' in tree) {
      missing = tree.missing;
      return;
    }
    [deb, container] = await Promise.all([
      here.run(process.execPath, [tool], { timeoutMs: 120_000 }).then((path) => path.trim()),
      Container.boot(tree.path),
    ]);
    await copyFile(deb, join(container.shared, 'relatd.deb'));
  }, 600_000);
  afterAll(async () => container?.[Symbol.asyncDispose]());

  /** The container, or a skip that says why there is none. */
  function inside(context: TestContext): Container {
    return container ?? context.skip(`no clean Debian: ${missing}`);
  }

  const show = (properties: string) => `systemctl show ${properties} --value relatd`;
  const statusOf = async (debian: Container) => JSON.parse(await debian.run('relatd status --json')) as Status;

  it('installs with what it depends on, starts nothing and attaches nothing', async (context) => {
    const debian = inside(context);
    await debian.run('apt-get install -y --no-install-recommends /mnt/relatd.deb');
    expect(await debian.run('relatd --version')).toMatch(/^\d+\.\d+\.\d+$/);
    expect(await debian.run('relatd check')).toBe('/etc/relatd/relatd.yaml: valid, 0 assignments');
    expect(await debian.run('relatd check /usr/share/doc/relatd/examples/relatd.yaml')).toContain('2 assignments');
    expect(await debian.run('systemctl is-enabled relatd relatd-match || true')).toBe('disabled\ndisabled');
    expect(await debian.run('ls -d /sys/fs/bpf/relatd 2>&1 || true')).toContain('No such file');
    expect(await debian.run('systemd-analyze verify --man=no relatd.service relatd-match.service 2>&1')).toBe('');
    expect((await debian.exec('relatd demo')).stderr).toContain('the demo is not part of the package');
  });

  it('is the same to the last byte when it is made again', async (context) => {
    inside(context);
    const first = await readFile(deb);
    // By somebody with other habits.
    await here.run('sh', ['-c', 'umask 077; exec "$0" "$1"', process.execPath, tool], {
      timeoutMs: 120_000,
      env: { TZ: 'Asia/Tokyo', LC_ALL: 'C' },
    });
    expect(first.equals(await readFile(deb))).toBe(true);
  });

  it('has manual pages without a fault, with every command and every key', async (context) => {
    inside(context);
    const page = (path: string) =>
      here.run('sh', ['-c', `dpkg-deb --fsys-tarfile "$0" | tar -xOf - ./usr/share/man/${path} | zcat`, deb]);
    const [commandPage, configurationPage] = await Promise.all([
      page('man8/relatd.8.gz'),
      page('man5/relatd.yaml.5.gz'),
    ]);
    for (const text of [commandPage, configurationPage]) {
      expect(await here.exec('mandoc', ['-T', 'lint', '-W', 'warning'], { input: text })).toMatchObject({ stdout: '' });
    }
    for (const { name } of commands) expect(commandPage).toContain(`.SS "relatd ${name.replaceAll('-', '\\-')}"`);
    for (const key of Object.keys(jsonSchema()['properties'] as object))
      expect(configurationPage).toContain(`\\fB${key}`);
  });

  it('has what rules match by before a firewall is restored, with no daemon', async (context) => {
    const debian = inside(context);
    await debian.run('cp /etc/relatd/relatd.yaml /mnt/original.yaml');
    await debian.run("echo 'assignments: [{ helper: ftp, port: 21 }]' > /etc/relatd/relatd.yaml");
    await debian.run('systemctl start relatd-match');
    const rules = await debian.run('relatd rules iptables --by bpf');
    expect(rules).toContain('--object-pinned /sys/fs/bpf/relatd/');
    await debian.run('cp /mnt/original.yaml /etc/relatd/relatd.yaml');
    const [, pin] = /--object-pinned (\S+)/.exec(rules)!;
    await debian.run(`iptables -A INPUT -m bpf --object-pinned ${pin!} -j ACCEPT && iptables -F INPUT`);
  });

  it('starts when it is told to, and is ready with nothing assigned', async (context) => {
    const debian = inside(context);
    await debian.run('ip link add eth0 type veth peer name peer && ip address add 10.9.0.1/24 dev eth0');
    await debian.run('ip netns add client && ip link set peer netns client && ip link set eth0 up');
    await debian.run('ip -n client address add 10.9.0.2/24 dev peer && ip -n client link set peer up');
    await debian.run('systemctl enable relatd && systemctl start relatd');
    expect(await debian.run(show('-P ActiveState'))).toBe('active');
    expect(await debian.run(show('-P StatusText'))).toBe('watching eth0 for nothing: no assignment yet');
    const attached = { attached: true, problem: null };
    expect(await statusOf(debian)).toMatchObject({ assignments: [], output: attached });
    expect(await debian.run('stat -c "%U %G %a" /run/relatd/relatd.sock')).toBe('root relatd 660');
  });

  it('has the capabilities that it needs and no others, and the exposure that the documentation names', async (context) => {
    const debian = inside(context);
    const pid = await debian.run(show('-P MainPID'));
    // CAP_NET_ADMIN (12), CAP_NET_RAW (13), CAP_PERFMON (38), CAP_BPF (39).
    expect(await debian.run(`grep CapBnd /proc/${pid}/status`)).toBe('CapBnd:\t000000c000003000');
    const [, exposure] = /exposure level for relatd.service: ([\d.]+)/.exec(
      await debian.run('systemd-analyze security --no-pager relatd'),
    )!;
    expect(await readFile(documentation, 'utf8')).toContain(`exposure of **${exposure!}**`);
  });

  it('applies a changed file at a reload, and refuses a wrong one where systemctl shows it', async (context) => {
    const debian = inside(context);
    await writeFile(
      join(debian.shared, 'relatd.yaml'),
      'interfaces: [eth0]\nassignments: [{ helper: ftp, port: 21 }]\n',
    );
    await debian.run('cp /mnt/relatd.yaml /etc/relatd/relatd.yaml && systemctl reload relatd');
    await debian.until(show('-P StatusText'), 'watching eth0 for ftp on port 21');
    await debian.run('echo "nonsense: 1" >> /etc/relatd/relatd.yaml');
    expect((await debian.exec('systemctl reload relatd')).code).not.toBe(0);
    expect(await debian.run('journalctl -u relatd --no-pager')).toContain('unknown key "nonsense"');
    expect(await statusOf(debian)).toMatchObject({ assignments: [{ name: 'ftp' }] });
    await debian.run('cp /mnt/relatd.yaml /etc/relatd/relatd.yaml');
  });

  it('sees inside of its sandbox what rules do to its mark', async (context) => {
    const debian = inside(context);
    await debian.run('iptables-legacy -t mangle -A PREROUTING -j MARK --set-mark 1');
    await debian.run(
      'nft "add table t; add chain t c { type filter hook input priority 0; }; add rule t c meta mark set 2"',
    );
    await debian.run('systemctl restart relatd');
    const { warnings } = await statusOf(debian);
    expect(warnings.join('\n')).toMatch(/PREROUTING/);
    expect(warnings.join('\n')).toMatch(/meta mark set/);
    expect(warnings.join('\n')).not.toContain('not looked at');
    await debian.run('iptables-legacy -t mangle -F && nft delete table t');
  });

  it('does its work inside of its sandbox: an announcement is expected, a held packet judged', async (context) => {
    const debian = inside(context);
    await writeFile(join(debian.shared, 'session.cjs'), session);
    await debian.run('node /mnt/session.cjs server >/dev/null 2>&1 &');
    await debian.until('ls /mnt/listening', '/mnt/listening');
    await debian.run('ip netns exec client node /mnt/session.cjs client >/dev/null 2>&1 &');
    await debian.until('ls /mnt/announced', '/mnt/announced');
    expect(JSON.parse(await debian.run('relatd expectations --json'))).toMatchObject([
      { assignment: 'ftp', destination: { address: '10.9.0.1', port: 51200 } },
    ]);
    expect((await statusOf(debian)).hold.held).toBeGreaterThan(0);
  });

  it('is killed and started again when it hangs; what is pinned stays meanwhile', async (context) => {
    const debian = inside(context);
    const folder = '/run/systemd/system/relatd.service.d';
    await debian.run(`mkdir -p ${folder} && printf '[Service]\\nWatchdogSec=2s\\n' > ${folder}/test.conf`);
    await debian.run('systemctl daemon-reload && systemctl restart relatd');
    const pins = await debian.run('ls /sys/fs/bpf/relatd/*/links');
    expect(pins).toMatch(/^\d+-egress\n\d+-ingress$/m);
    await debian.run(`kill -STOP $(${show('-P MainPID')})`);
    await debian.until(`test "$(${show('-P NRestarts')})" -ge 1 && ${show('-P ActiveState')}`, 'active');
    expect(await debian.run('journalctl -u relatd --no-pager')).toContain('Watchdog timeout');
    expect(await debian.run('ls /sys/fs/bpf/relatd/*/links')).toBe(pins);
    expect(JSON.parse(await debian.run('relatd flows --control --json'))).toHaveLength(1);
  });

  it('leaves only its configuration when it is removed, and nothing when it is purged', async (context) => {
    const debian = inside(context);
    const files =
      "find / -xdev -name '*relatd*' -not -path '/proc/*' -not -path '/tmp/*' -not -path '/run/systemd/*' | sort";
    await debian.run('dpkg --remove relatd');
    // What rules name stays, and matches nothing. The daemon, who may not look at the first process, used the same place.
    expect(await debian.run('ls -A /sys/fs/bpf/relatd')).toBe('match\nmatch-tables');
    expect(await debian.run('ip -o link | grep -c relatd || true')).toBe('0');
    expect(await debian.run(files)).toMatch(
      /^\/etc\/relatd\n\/etc\/relatd\/relatd.yaml\n(\/var\/lib\/dpkg\/info\/relatd\.\w+\n?)+$/,
    );
    await debian.run('dpkg --purge relatd');
    expect(await debian.run(files)).toBe('');
    expect(await debian.run('ls -d /sys/fs/bpf/relatd /run/relatd 2>&1 | grep -c "No such file"')).toBe('2');
    expect(await debian.run('getent group relatd || echo none')).toBe('none');
  });
});
