// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Event } from '@relatd/model';
import { FLOW_COLUMNS, flowRow } from '@relatd/model';
import { transfer, type FtpServer, type TransferOptions } from '@relatd/lab';
import { eventLine, paint } from '../colour.js';
import { print, type Context } from '../context.js';
import { tableText } from '../table.js';
import { FTP_PORT, type Stage } from './stage.js';

const FILE = 'big.iso';
const SIZE = 4 * 1024 * 1024;

/** How long a transfer that the firewall stops is waited for, in milliseconds. */
const PATIENCE = 4000;

/** An FTP session that did not go as it must. */
export class DemoFailure extends Error {}

/** The demo, act by act, printed as it happens. */
export class Play {
  readonly #context: Context;
  readonly #stage: Stage;
  readonly #content = randomBytes(SIZE);
  readonly #seen: Event[] = [];
  #act = 0;

  constructor(context: Context, stage: Stage) {
    this.#context = context;
    this.#stage = stage;
  }

  async run(): Promise<void> {
    const { lab } = this.#stage;
    const client = lab.client.ipv4;
    const server = lab.server.ipv4;
    await this.#title(`client ${client}, gateway and server ${server} are network namespaces of this machine`);

    const ftp = await this.#stage.startServer();
    await writeFile(join(ftp.root, FILE), this.#content);
    await this.#title(`vsftpd listens on port ${String(FTP_PORT)} of the server, where no helper looks by itself`);

    await this.#stage.writeConfig(configuration(true));
    const rules = await this.#stage.relatd('rules', 'nft', '-c', this.#stage.configPath);
    await this.#stage.lab.gateway.nft(firewall(client));
    await this.#stage.lab.gateway.nft(rules);
    await this.#title(
      'the gateway forwards control connections, and what `relatd rules nft` accepts; it drops the rest',
    );
    for (const line of rules.split('\n')) {
      if (line.includes(' accept ') && !/^\s*#/.test(line)) await this.#say(line.trim());
    }

    await this.#stage.writeConfig(configuration(false));
    const ready = await this.#stage.startDaemon();
    await this.#title('the daemon runs for the gateway; its FTP helper is assigned to port 21 only');
    await this.#say(ready);

    await this.#title(`without an assignment for port ${String(FTP_PORT)} a passive download fails`);
    await this.#mustFail(ftp);

    await this.#stage.writeConfig(configuration(true));
    await this.#title('`relatd reload` with the assignment ftp-2121');
    for (const message of (await this.#stage.client.reload()).messages) await this.#say(message);

    const stop = new AbortController();
    const watching = await this.#watch(stop.signal);
    try {
      await this.#title('the same passive download: the server announces a port, the client opens it');
      await this.#mustWork(ftp, { op: 'get', mode: 'passive' });
      await this.#title('an active upload: the client announces a port, the server opens it');
      await this.#mustWork(ftp, { op: 'put', mode: 'active' });
    } finally {
      stop.abort();
      await watching.done;
    }

    await this.#title('what the gateway tracked: control connections, and the flows that became RELATED');
    const flows = await this.#stage.client.flows({ assignment: 'ftp-2121' });
    const columns = FLOW_COLUMNS.map((title) => ({ title }));
    await print(this.#context.stdout, tableText(columns, flows.map(flowRow), this.#context.stdout));
    const related = flows.find(({ kind }) => kind === 'related');
    if (related === undefined) throw new DemoFailure('no related flow is in the table');
    await this.#say(JSON.stringify(related, null, 2));
  }

  async #mustFail(ftp: FtpServer): Promise<void> {
    const { code, output, bytesOk } = await this.#transfer(ftp, { op: 'get', mode: 'passive', timeoutMs: PATIENCE });
    if (code === 0 || bytesOk) throw new DemoFailure('the transfer without the assignment was not stopped');
    for (const line of dialogue(output)) await this.#say(line);
    await this.#verdict(`as it must be: no data connection within ${String(PATIENCE / 1000)} s`, 'green');
  }

  async #mustWork(ftp: FtpServer, options: Pick<TransferOptions, 'op' | 'mode'>): Promise<void> {
    const before = this.#seen.length;
    const started = performance.now();
    const { code, output, bytesOk } = await this.#transfer(ftp, { ...options, timeoutMs: 15_000 });
    const took = performance.now() - started;
    await this.#settle(before);
    for (const line of dialogue(output)) await this.#say(line);
    for (const event of this.#seen.slice(before)) await this.#say(eventLine(event, this.#context.stdout));
    if (code !== 0 || !bytesOk) {
      throw new DemoFailure(`the transfer failed: ${failureOf(output) ?? `curl ended with ${String(code)}`}`);
    }
    const types = this.#seen.slice(before).map(({ type }) => type);
    for (const type of ['control.new', 'expectation.new', 'related.new'] as const) {
      if (!types.includes(type)) throw new DemoFailure(`the transfer worked, but no event ${type} was seen`);
    }
    await this.#verdict(`${String(SIZE)} bytes arrived unchanged after ${took.toFixed(0)} ms`, 'green');
  }

  #transfer(ftp: FtpServer, options: Pick<TransferOptions, 'op' | 'mode' | 'timeoutMs'>) {
    const file = options.op === 'put' ? `upload-${FILE}` : FILE;
    return transfer(this.#stage.lab.client, 'curl', {
      ...options,
      server: this.#stage.lab.server.ipv4,
      port: ftp.port,
      root: ftp.root,
      user: 'alice',
      password: 'wonderland',
      file,
      content: this.#content,
    });
  }

  /** Collects events until `signal`. Resolves once no event can be missed; `done` when the stream is closed. */
  async #watch(signal: AbortSignal): Promise<{ done: Promise<void> }> {
    let done: Promise<void> = Promise.resolve();
    await new Promise<void>((resolve, reject) => {
      const read = async () => {
        for await (const event of this.#stage.client.events({ signal, onOpen: resolve })) this.#seen.push(event);
      };
      done = read().catch(reject);
    });
    return { done };
  }

  /** Waits until the last events of a session have come. */
  async #settle(before: number): Promise<void> {
    for (let round = 0; round < 40; round++) {
      const types = this.#seen.slice(before).map(({ type }) => type);
      if (types.includes('related.end') && types.includes('control.end')) return;
      await sleep(25);
    }
  }

  #title(text: string): Promise<void> {
    const line = `${String(++this.#act)}. ${text}`;
    return print(this.#context.stdout, paint(this.#context.stdout, 'bold', line));
  }

  async #say(text: string): Promise<void> {
    await print(this.#context.stdout, text.replace(/^(?=.)/gm, '   '));
  }

  #verdict(text: string, colour: 'green' | 'red'): Promise<void> {
    return this.#say(paint(this.#context.stdout, colour, `=> ${text}`));
  }
}

/** The daemon's configuration, with or without the assignment that the demo is about. */
export function configuration(assigned: boolean): string {
  const assignment = `  - { name: ftp-2121, helper: ftp, port: ${String(FTP_PORT)} }\n`;
  return `interfaces: [eth0, eth1]
assignments:
  - { helper: ftp, port: 21 }
${assigned ? assignment : ''}listen:
  metrics: off
`;
}

/** A firewall that forwards nothing but new control connections, until `relatd rules nft` adds to it. */
export function firewall(client: string): string {
  return `table inet filter {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ip saddr ${client} tcp dport ${String(FTP_PORT)} ct state new accept
  }
}
`;
}

/** The lines of curl's verbose output that are the FTP dialogue, without the password. */
function dialogue(output: string): string[] {
  return output
    .split(/\r?\n/)
    .filter((line) => /^[<>] /.test(line) || /^curl: /.test(line))
    .filter((line) => /^(?:> (?:PASV|EPSV|PORT|EPRT|RETR|STOR)|< (?:227|229|150|226|425|426)|curl: )/.test(line));
}

/** What curl itself says went wrong; nothing when it was stopped. */
function failureOf(output: string): string | null {
  return /^curl: .*$/m.exec(output)?.[0] ?? null;
}
