// SPDX-License-Identifier: Apache-2.0
import { Lab, Peer, type LabOptions, type PeerConnection, type PeerListener } from '@relatd/lab';
import type { ControlFlow, Expectation, RelatedFlow } from '@relatd/model';
import { afterAll, beforeAll, expect } from 'vitest';
import { eventually, Gateway, startGateway, type GatewayOptions } from './gateway.js';

type Family = 'ipv4' | 'ipv6';

/** How a {@link Session} begins. */
export interface SessionStart {
  /** Port of the server, default 2121. */
  port?: number;
  family?: Family;
  /** `none`: not a byte was sent; `greeting`: the server has spoken. Default `login`. */
  begin?: 'none' | 'greeting' | 'login';
  /** Client's address; default: a new one, because limits are per source. */
  address?: string;
  /** Says, after the login, what only user space can judge: from then on its lines are held. Default false. */
  judged?: boolean;
}

/** A lab with a gateway, and with a program at each end that says what the test wants. */
export class Stage implements AsyncDisposable {
  readonly lab: Lab;
  readonly gateway: Gateway;
  readonly client: Peer;
  readonly server: Peer;
  readonly #listeners = new Map<number, Promise<PeerListener>>();
  #addresses = 9;
  #ports = 40_000;

  private constructor(lab: Lab, gateway: Gateway, client: Peer, server: Peer) {
    this.lab = lab;
    this.gateway = gateway;
    this.client = client;
    this.server = server;
  }

  static open(labOptions: LabOptions = {}, gatewayOptions: GatewayOptions = {}): Promise<Stage> {
    return Stage.#build(labOptions, (lab) => startGateway(lab, gatewayOptions));
  }

  /** As {@link open}, with a firewall and no daemon yet. */
  static prepare(labOptions: LabOptions = {}, gatewayOptions: GatewayOptions = {}): Promise<Stage> {
    return Stage.#build(labOptions, (lab) => Gateway.prepare(lab, gatewayOptions));
  }

  static async #build(labOptions: LabOptions, begin: (lab: Lab) => Promise<Gateway>): Promise<Stage> {
    const lab = await Lab.create(labOptions);
    try {
      const [client, server] = await Promise.all([Peer.start(lab.client), Peer.start(lab.server)]);
      return new Stage(lab, await begin(lab), client, server);
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /** A port that no announcement of this stage has named yet. */
  newPort(): number {
    return this.#ports++;
  }

  /** A further address of the client. */
  async newAddress(family: Family = 'ipv4'): Promise<string> {
    const number = ++this.#addresses;
    const address = family === 'ipv4' ? `10.77.1.${number}` : `fd77:1::1:${number.toString(16)}`;
    const length = family === 'ipv4' ? 24 : 64;
    await this.lab.client.run('ip', [
      ...['addr', 'add', `${address}/${length}`, 'dev', 'eth0'],
      ...(family === 'ipv6' ? ['nodad'] : []),
    ]);
    return address;
  }

  /** Where the server waits for control connections. */
  listener(port: number): Promise<PeerListener> {
    let listener = this.#listeners.get(port);
    if (listener === undefined) this.#listeners.set(port, (listener = this.server.listen(port)));
    return listener;
  }

  /** A control connection, tracked from its handshake on. */
  async session(start: SessionStart = {}): Promise<Session> {
    const { port = 2121, family = 'ipv4', begin = 'login' } = start;
    const listener = await this.listener(port);
    const address = start.address ?? (await this.newAddress(family));
    const client = await this.client.connect(this.lab.server[family], port, { localAddress: address });
    const server = await listener.accept();
    const { flow } = await this.gateway.event(
      'control.new',
      ({ flow: { source } }) => source.address === address && source.port === client.local.port,
    );
    const session = new Session(this, family, client, server, flow.id);
    if (begin === 'none') return session;
    await session.answer('220 ready\r\n');
    if (begin === 'greeting') return session;
    await session.say('USER alice\r\n');
    await session.answer('331 password\r\n');
    await session.say('PASS sesame\r\n');
    await session.answer('230 in\r\n');
    if (start.judged === true) await session.becomeJudged();
    return session;
  }

  async close(): Promise<void> {
    try {
      await this.gateway.close();
    } finally {
      await this.lab.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** A stage for all tests of a file or a `describe`; the function gives it. */
export function useStage(labOptions: LabOptions = {}, gatewayOptions: GatewayOptions = {}): () => Stage {
  let stage: Stage | undefined;
  beforeAll(async () => {
    stage = await Stage.open(labOptions, gatewayOptions);
  });
  afterAll(async () => stage?.close());
  return () => {
    if (stage === undefined) throw new Error('no stage outside a test');
    return stage;
  };
}

/** One control connection of a {@link Stage}, both ends. Whatever is said must arrive, byte by byte. */
export class Session {
  readonly stage: Stage;
  readonly family: Family;
  readonly client: PeerConnection;
  readonly server: PeerConnection;
  /** Of the control flow. */
  readonly id: string;
  #judged = false;
  #said = '';
  #answered = '';

  /** Used by {@link Stage}. */
  constructor(stage: Stage, family: Family, client: PeerConnection, server: PeerConnection, id: string) {
    this.stage = stage;
    this.family = family;
    this.client = client;
    this.server = server;
    this.id = id;
  }

  /** The client's address, and the server's. */
  get here(): string {
    return this.client.local.address;
  }

  get there(): string {
    return this.stage.lab.server[this.family];
  }

  /** Whether user space judges this connection, and not the datapath's tables. */
  get judged(): boolean {
    return this.#judged;
  }

  /** The client aborts what does not run: the tables leave that, and all that follows, to user space. */
  async becomeJudged(): Promise<void> {
    const counters = async (): Promise<number> => (await this.stage.gateway.client().status()).counters.judged;
    const before = await counters();
    await this.say('ABOR\r\n');
    await this.answer('226 nothing to abort\r\n');
    expect(await counters()).toBe(before + 1);
    this.#judged = true;
  }

  /** The client sends each part in a segment of its own; resolves when the server has exactly all that was said so far. */
  async say(...parts: string[]): Promise<void> {
    this.#said += parts.join('');
    await this.client.writeSegments(parts, 2);
    await arrived(this.server, () => this.#said, this.stage.gateway);
  }

  /** The same from the server to the client. */
  async answer(...parts: string[]): Promise<void> {
    this.#answered += parts.join('');
    await this.server.writeSegments(parts, 2);
    await arrived(this.client, () => this.#answered, this.stage.gateway);
  }

  /** The client sends without waiting; the next {@link say} waits for this, too. */
  async begin(...parts: string[]): Promise<void> {
    this.#said += parts.join('');
    await this.client.writeSegments(parts, 2);
  }

  /** The same for the server and {@link answer}. */
  async beginAnswer(...parts: string[]): Promise<void> {
    this.#answered += parts.join('');
    await this.server.writeSegments(parts, 2);
  }

  /** The control flow as `flows` has it; undefined when it is gone. */
  async find(): Promise<ControlFlow | undefined> {
    const flows = await this.stage.gateway.flows({ kind: 'control' });
    return flows.find((flow): flow is ControlFlow => flow.id === this.id);
  }

  /** Trust as `flows` has it. */
  async trust(): Promise<string | undefined> {
    return (await this.find())?.trust;
  }

  /** Waits until trust is this word: the daemon tells the datapath after it let the packet go. */
  async becomes(trust: string): Promise<void> {
    let last: string | undefined;
    await eventually(
      async () => ((last = await this.trust()) === trust ? true : undefined),
      () => `trust is ${last}, not ${trust}`,
    );
  }

  /** This connection's live expectations. */
  async expectations(): Promise<Expectation[]> {
    return (await this.stage.gateway.expectations()).filter(({ master }) => master === this.id);
  }

  /** Waits for the expectation of a port. */
  async expects(port: number): Promise<Expectation> {
    const { expectation } = await this.stage.gateway.event(
      'expectation.new',
      ({ expectation: { master, destination } }) => master === this.id && destination.port === port,
    );
    return expectation;
  }

  /** Ports that were ever expected for this connection, in order. */
  expected(): (number | null)[] {
    return this.stage.gateway
      .of('expectation.new')
      .filter(({ expectation }) => expectation.master === this.id)
      .map(({ expectation: { destination } }) => (typeof destination.port === 'number' ? destination.port : null));
  }

  /** Waits for a refusal for this connection. */
  async refused(reason: string): Promise<void> {
    await this.stage.gateway.event(
      'expectation.refused',
      (event) => event.reason === reason && (event.flow?.id ?? event.expectation?.master) === this.id,
    );
  }

  /** Nothing was expected for this connection, and nothing is. */
  async expectsNothing(): Promise<void> {
    expect(await this.expectations()).toEqual([]);
    expect(this.expected()).toEqual([]);
  }

  /** PORT or EPRT for a port of the client. */
  port(port: number, address = this.here): string {
    if (this.family === 'ipv6') return `EPRT |2|${address}|${port}|\r\n`;
    return `PORT ${hostPort(address, port)}\r\n`;
  }

  /** PASV and its 227, or EPSV and its 229. */
  async passive(port: number): Promise<Expectation> {
    await this.announce('passive', port);
    return this.expects(port);
  }

  /** The client announces a port, the server accepts it. */
  async active(port: number): Promise<Expectation> {
    await this.announce('active', port);
    return this.expects(port);
  }

  /** As {@link passive} and {@link active}, with nobody there to tell of the expectation. */
  async announce(mode: 'passive' | 'active', port: number): Promise<void> {
    if (mode === 'active') {
      await this.say(this.port(port));
      await this.answer('200 fine\r\n');
      return;
    }
    await this.say(this.family === 'ipv4' ? 'PASV\r\n' : 'EPSV\r\n');
    await this.answer(passiveReply(this.family, this.there, port));
  }

  /** An active data connection: the server opens it, bytes go both ways. */
  async dataFromServer(port: number, { localPort = 0 } = {}): Promise<RelatedFlow> {
    return this.#related(this.here, port, await this.reach('active', port, { localPort }));
  }

  /** A passive one. */
  async dataFromClient(port: number, { localPort = 0 } = {}): Promise<RelatedFlow> {
    return this.#related(this.there, port, await this.reach('passive', port, { localPort }));
  }

  /** A data connection, with nobody there to tell of it; returns the port of who opened it. */
  async reach(mode: 'passive' | 'active', port: number, { localPort = 0 } = {}): Promise<number> {
    const { client, server } = this.stage;
    const [from, to] = mode === 'active' ? [server, client] : [client, server];
    const [localAddress, address] = mode === 'active' ? [this.there, this.here] : [this.here, this.there];
    const listener = await to.listen(port, address);
    const near = await from.connect(address, port, { localAddress, localPort });
    const far = await listener.accept();
    await near.write('ping\n');
    await far.waitFor(/ping/);
    await far.write('pong\n');
    await near.waitFor(/pong/);
    await near.end();
    await far.end();
    await listener.close();
    return near.local.port;
  }

  async #related(address: string, port: number, from: number): Promise<RelatedFlow> {
    const { flow } = await this.stage.gateway.event(
      'related.new',
      ({ flow: { source, destination } }) => destination.port === port && source.port === from,
    );
    expect(flow).toMatchObject({ master: this.id, destination: { address, port } });
    return flow;
  }

  /** Nobody gets through to a port of the client from the server, which somebody listens at. */
  async shutFromServer(port: number): Promise<void> {
    await shut(this.stage.server, this.stage.client, this.there, this.here, port);
  }

  /** The same from the client to the server. */
  async shutFromClient(port: number): Promise<void> {
    await shut(this.stage.client, this.stage.server, this.here, this.there, port);
  }

  /** Ends both sides. */
  async quit(): Promise<void> {
    await this.client.end();
    await this.server.waitForEnd();
    await this.server.end();
    await this.client.waitForEnd();
  }
}

async function shut(from: Peer, to: Peer, localAddress: string, address: string, port: number): Promise<void> {
  const listener = await to.listen(port, address);
  try {
    await expect(from.connect(address, port, { localAddress, timeoutMs: 400 })).rejects.toThrow('timeout');
  } finally {
    await listener.close();
  }
}

async function arrived(at: PeerConnection, all: () => string, gateway: Gateway): Promise<void> {
  // A lost segment is repeated within a second or two; what takes longer is a connection that hangs.
  await eventually(
    () => (at.received.length >= all().length ? true : undefined),
    () =>
      `this did not arrive: ${JSON.stringify(all().slice(at.received.length))}\n${gateway.history()}\n${gateway.daemon.stderr}`,
    8000,
  );
  expect(at.received).toBe(all());
}

/** `10,77,1,2,156,64`, RFC 959, 4.1.2. */
export function hostPort(address: string, port: number): string {
  return [...address.split('.'), port >> 8, port & 0xff].join(',');
}

/** A 227, or for IPv6 a 229. */
export function passiveReply(family: Family, address: string, port: number): string {
  return family === 'ipv4'
    ? `227 Entering Passive Mode (${hostPort(address, port)}).\r\n`
    : `229 Entering Extended Passive Mode (|||${port}|)\r\n`;
}
