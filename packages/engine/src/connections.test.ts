// SPDX-License-Identifier: Apache-2.0
import {
  DialogueFlag,
  FlowFlag,
  FlowKind,
  FlowState,
  Limit,
  StreamFlag,
  reverseTuple,
  sortTuple,
  tupleId,
  type FlowEntry,
  type FlowRecord,
  type RequestRecord,
  type StreamRecord,
  type TupleRecord,
} from '@relatd/datapath';
import { ftp, type Helper } from '@relatd/helpers';
import { concat, tcp } from '@relatd/lab';
import { REASONS, type Reason } from '@relatd/model';
import { describe, expect, it } from 'vitest';
import { Connections } from './connections.js';
import { assignmentOf, path, requestText } from './testing.js';

const CLIENT = path('10.0.1.2', 45678, '10.0.2.2', 21);
const PORT = 'PORT 10,0,1,2,200,10\r\n';
const STARTED = 1000n;

/** A datapath of maps, and a log of what is asked of it and released. */
class World {
  readonly log: string[] = [];
  readonly faults: unknown[] = [];
  readonly flows = new Map<string, FlowEntry>();
  readonly streams = new Map<bigint, StreamRecord>();
  readonly refused: Reason[] = [];
  helper: Helper = ftp;
  broken: 'request' | 'flow' | null = null;
  assignment = assignmentOf();
  #ids = 100n;
  readonly heard: string[] = [];
  readonly connections = new Connections({
    datapath: {
      started: STARTED,
      request: (requests) => requests.map((request) => this.#serve(request)),
      release: (frames) => {
        for (const frame of frames) this.log.push(`> ${Buffer.from(frame).toString('latin1').slice(58).trim()}`);
      },
      tables: {
        flow: (tuple) => {
          if (this.broken === 'flow') throw new Error('no look-ups today');
          return this.flows.get(tupleId(sortTuple(tuple).key)) ?? null;
        },
        flows: () => Promise.resolve([...this.flows.values()]),
        stream: ({ id }) => this.streams.get(id) ?? null,
        expectation: () => null,
      },
    },
    assignment: (id) => (id === 3 ? this.assignment : null),
    helper: () => this.helper,
    read: () => undefined,
    heard: ({ id }, { payload }) => this.heard.push(`${String(id)} ${Buffer.from(payload).toString().trim()}`),
    refused: ({ reason }) => this.refused.push(reason),
    failed: (error) => this.faults.push(error),
  });

  #serve(request: RequestRecord): RequestRecord {
    if (this.broken === 'request') throw new Error('no requests today');
    this.log.push(requestText(request));
    return { ...request, id: ++this.#ids, slot: 1, result: 0 };
  }

  /** Puts a control connection into the tables. */
  flow(more: Partial<FlowRecord> = {}, tuple: TupleRecord = CLIENT): FlowEntry {
    const { key, swapped } = sortTuple(tuple);
    const side = (next: number) => ({ packets: 0n, bytes: 0n, next, owner: 5 });
    const flow = {
      id: 7n,
      created: STARTED + 1n,
      assignment: 3,
      kind: FlowKind.control,
      state: FlowState.established,
      flags: 0,
      trust: 0,
      ended: 0,
      side: [side(1000), side(5000)],
      ...more,
      ...(swapped ? { flags: (more.flags ?? 0) | FlowFlag.openerIsSecond } : {}),
    } as FlowRecord;
    const entry = { key, flow };
    this.flows.set(tupleId(key), entry);
    return entry;
  }

  /** Bytes up to here have gone on, by direction. */
  went(entry: FlowEntry, original: number, reply: number): void {
    for (const [index, next] of [original, reply].entries()) {
      const side = entry.flow.side[index];
      if (side !== undefined) side.next = next;
    }
  }

  stream(id: bigint, flags: number): void {
    const side = { flags: 0 } as StreamRecord['side'][number];
    const dialogue = { flags: DialogueFlag.judged } as StreamRecord['dialogue'];
    this.streams.set(id, { side: [{ ...side, flags }, side], dialogue } as StreamRecord);
  }

  began({ key, flow }: FlowEntry): void {
    const tuple = flow.flags & FlowFlag.openerIsSecond ? reverseTuple(key) : key;
    this.connections.began({ tuple, flow: structuredClone(flow) });
  }

  /** Held frames of the connection, in one batch: from the client where `seq` is below 5000. */
  frames(...segments: readonly (readonly [seq: number, text: string])[]): void {
    this.connections.frames(segments.map(([seq, text]) => frame(seq, text)));
  }

  sample(seq: number, text: string): void {
    const data = Buffer.from(text).subarray(0, Limit.sampleBytes);
    const tuple = seq < 5000 ? CLIENT : reverseTuple(CLIENT);
    const direction = seq < 5000 ? 0 : 1;
    const common = { type: 0, hook: 0, time: 0n, flow: 7n, direction, tcpFlags: 0, reason: 0 };
    this.connections.sample({ ...common, tuple, seq, length: text.length, data });
  }

  /** What was said in the meantime. */
  take(): string[] {
    return this.log.splice(0);
  }
}

function frame(seq: number, text: string): Uint8Array {
  const [src, dst] = ['10.0.1.2', '10.0.2.2'];
  const there = { src, dst, sport: 45678, dport: 21 };
  const back = { src: dst, dst: src, sport: 21, dport: 45678 };
  const packet = tcp({ ...(seq < 5000 ? there : back), seq, payload: text });
  return concat(packet.subarray(0, 12), Uint8Array.of(0x88, 0xa8, 0, 0), packet.subarray(12));
}

const HELLO = '220 hi\r\n';
const USER = 'USER alice\r\n';

/** A connection whose dialogue is under way: the client's next byte is 1012, the server's 5008. */
function underWay(): { world: World; entry: FlowEntry } {
  const world = new World();
  const entry = world.flow();
  world.began(entry);
  world.frames([5000, HELLO], [1000, USER]);
  world.went(entry, 1012, 5008);
  world.take();
  return { world, entry };
}

describe('held frames', () => {
  it('of a whole batch go on after everything that they ask for', () => {
    const { world } = underWay();
    world.frames([1012, PORT], [1034, 'LIST\r\n']);
    expect(world.take()).toEqual([
      'expect original 10.0.2.2:* > 10.0.1.2:51210',
      'watch original 1012-1034',
      `> ${PORT.trim()}`,
      '> LIST',
    ]);
    expect(world.heard).toEqual(['7 220 hi', '7 USER alice', `7 ${PORT.trim()}`, '7 LIST']);
  });

  it('make the datapath know a dialogue that was recognised', () => {
    const world = new World();
    world.began(world.flow());
    world.frames([5000, HELLO]);
    expect(world.take()).toEqual(['> 220 hi']);
    world.frames([1000, USER]);
    expect(world.take()).toEqual(['trust none', '> USER alice']);
  });

  it('of a connection whose beginning was lost are followed, both ways round', () => {
    const world = new World();
    world.flow();
    world.frames([5000, HELLO], [1000, USER], [1012, PORT]);
    expect(world.take()).toContain('expect original 10.0.2.2:* > 10.0.1.2:51210');
  });

  it('of nobody we know go on', () => {
    const world = new World();
    world.frames([1000, PORT]);
    world.flow({ kind: FlowKind.related });
    world.frames([1000, PORT]);
    world.flow({ ended: 1 });
    world.frames([1000, PORT]);
    world.flow({ assignment: 4 });
    world.frames([1000, PORT]);
    expect(world.take()).toEqual(Array.from({ length: 4 }, () => `> ${PORT.trim()}`));
  });

  it('that cannot be read go on', () => {
    const world = new World();
    world.connections.frames([new Uint8Array(70)]);
    expect(world.log).toHaveLength(1);
  });

  it('of a new connection in the place of one whose end was lost are not taken for that one', () => {
    const { world } = underWay();
    world.flow({
      id: 8n,
      side: [
        { packets: 0n, bytes: 0n, next: 3000, owner: 5 },
        { packets: 0n, bytes: 0n, next: 9000, owner: 5 },
      ],
    });
    world.frames([9000, HELLO], [3000, USER], [3012, PORT]);
    expect(world.take()).toContain('watch original 3012-3034');
    expect(world.connections.byId(7n)).toBeUndefined();
  });

  it('are told to the datapath only once per refusal, which is passed on', () => {
    const { world } = underWay();
    world.frames([1012, 'PORT 10,0,1,3,200,10\r\n']);
    expect(world.refused).toEqual(['address']);
    expect(world.take()).toEqual(['> PORT 10,0,1,3,200,10']);
  });
});

describe('a fault of ours', () => {
  it('in the parser: the frame goes on, the connection is given up', () => {
    const world = new World();
    world.helper = {
      ...ftp,
      create: () => ({
        recognised: false,
        feed() {
          throw new Error('a fault');
        },
        resync: () => undefined,
      }),
    };
    world.began(world.flow());
    world.frames([1000, USER], [1012, PORT]);
    expect(world.take()).toEqual(['trust gap', '> USER alice', `> ${PORT.trim()}`]);
    expect(world.faults).toHaveLength(1);
  });

  it('in a look-up: the frame goes on', () => {
    const { world } = underWay();
    world.broken = 'flow';
    world.frames([1000, USER], [1012, 'NOOP\r\n']);
    expect(world.take()).toEqual(['> USER alice', '> NOOP']);
    expect(world.faults).toHaveLength(1);
  });

  it('in the requests: the frames go on', () => {
    const { world } = underWay();
    world.broken = 'request';
    world.frames([1012, PORT]);
    expect(world.take()).toEqual([`> ${PORT.trim()}`]);
    expect(world.faults).toHaveLength(1);
  });
});

describe('what went on unjudged', () => {
  it('is read from samples', () => {
    const { world } = underWay();
    world.sample(1012, PORT);
    expect(world.take()).toEqual(['expect original 10.0.2.2:* > 10.0.1.2:51210', 'watch original 1012-1034']);
  });

  it('and overtook a held frame is read behind it', () => {
    const { world, entry } = underWay();
    world.went(entry, 1012 + 6 + PORT.length, 5008);
    world.sample(1018, PORT);
    expect(world.take()).toEqual([]);
    world.frames([1012, 'NOOP\r\n']);
    expect(world.take()).toEqual(['expect original 10.0.2.2:* > 10.0.1.2:51210', 'watch original 1018-1040', '> NOOP']);
  });

  it('and did not reach us is a hole, behind which the next frame is read', () => {
    const { world, entry } = underWay();
    world.went(entry, 2012, 5008);
    world.frames([2012, PORT]);
    expect(world.take()).toEqual([
      'expect original 10.0.2.2:* > 10.0.1.2:51210',
      'watch original 2012-2034',
      `> ${PORT.trim()}`,
    ]);
  });

  it('and did not reach us is a hole, behind which a sample is read in the end', () => {
    const { world, entry } = underWay();
    world.went(entry, 2034, 5008);
    world.sample(2012, PORT);
    world.connections.catchUp();
    expect(world.take()).toEqual(['expect original 10.0.2.2:* > 10.0.1.2:51210', 'watch original 2012-2034']);
  });

  it('is longer than a sample: the rest is a hole', () => {
    const { world, entry } = underWay();
    world.sample(1012, `${'x'.repeat(Limit.sampleBytes)}\r\n`);
    world.went(entry, 3000, 5008);
    world.frames([3000, PORT]);
    expect(world.take()).toContain('watch original 3000-3022');
  });

  it('not: a frame behind a hole that the datapath has too waits', () => {
    const { world } = underWay();
    world.frames([1018, PORT]);
    expect(world.take()).toEqual([]);
    world.frames([1012, 'NOOP\r\n']);
    expect(world.take().slice(2)).toEqual(['> NOOP', `> ${PORT.trim()}`]);
  });

  it('before the dialogue was recognised ends trust', () => {
    const world = new World();
    const entry = world.flow();
    world.began(entry);
    world.went(entry, 1000, 5008);
    world.frames([5008, '220 hi\r\n']);
    world.frames([1000, USER]);
    expect(world.take()).toEqual(['trust gap', '> 220 hi', '> USER alice']);
  });
});

describe('after a restart', () => {
  const before = { created: STARTED - 1n };

  it('a recognised dialogue goes on', async () => {
    const world = new World();
    world.flow({ ...before, flags: FlowFlag.recognised });
    expect(await world.connections.adoptAll()).toBe(1);
    world.frames([1000, 'PASV\r\n'], [5000, '227 Entering Passive Mode (10,0,2,2,156,65)\r\n']);
    expect(world.take()).toContain('expect reply 10.0.1.2:* > 10.0.2.2:40001');
  });

  it('one that was not recognised is given up', async () => {
    const world = new World();
    world.flow(before);
    await world.connections.adoptAll();
    expect(world.take()).toEqual(['trust gap']);
  });

  it('one that began while nobody was here is read from the samples', async () => {
    const world = new World();
    const entry = world.flow(before);
    world.began(entry);
    world.sample(5000, HELLO);
    world.sample(1000, USER);
    world.went(entry, 1012, 5008);
    world.stream(7n, StreamFlag.skipped);
    expect(await world.connections.adoptAll()).toBe(0);
    world.frames([1012, PORT]);
    expect(world.take()).toEqual([
      'trust none',
      'attend',
      'attend',
      'expect original 10.0.2.2:* > 10.0.1.2:51210',
      'watch original 1012-1034',
      `> ${PORT.trim()}`,
    ]);
  });

  it('distrust stays', async () => {
    const world = new World();
    world.flow({ ...before, trust: REASONS.indexOf('encrypted') });
    await world.connections.adoptAll();
    expect(world.connections.byId(7n)?.distrusted).toBe('encrypted');
    expect(world.take()).toEqual([]);
  });

  it('closed connections and related flows are left alone', async () => {
    const world = new World();
    world.flow({ ...before, ended: 1 });
    world.flow({ ...before, id: 9n, kind: FlowKind.related }, path('10.0.1.2', 1, '10.0.2.2', 2));
    expect(await world.connections.adoptAll()).toBe(0);
  });
});

describe('memory', () => {
  it('goes with the end of a connection, what waited included', () => {
    const { world } = underWay();
    world.frames([2000, PORT]);
    world.connections.ended(7n);
    expect(world.connections.size).toBe(0);
    expect(world.take()).toEqual([]);
  });

  it('goes with what the tables no longer have, but for what came meanwhile or was overlooked', () => {
    const { world } = underWay();
    const known = world.connections.known();
    world.began(world.flow({ id: 8n }, path('10.0.1.2', 1, '10.0.2.2', 21)));
    world.connections.prune(known, new Set(), new Set());
    expect(world.connections.byId(7n)?.id).toBe(7n);
    world.flows.delete(tupleId(sortTuple(CLIENT).key));
    world.connections.prune(known, new Set(), new Set());
    expect([world.connections.byId(7n), world.connections.byId(8n)?.id]).toEqual([undefined, 8n]);
  });

  it('of what an expectation is for goes when it is asked for or gone', () => {
    const { world } = underWay();
    world.frames([1012, PORT]);
    const [box] = world.connections.known().boxes;
    expect(world.connections.takeBox(box ?? 0n)?.detail).toMatchObject({ user: 'alice' });
    expect(world.connections.takeBox(box ?? 0n)).toBeUndefined();
    world.connections.gaveBack(99n, 7n);
    expect(world.connections.known().boxes).toEqual([99n]);
    world.connections.prune(world.connections.known(), new Set([7n]), new Set());
    expect(world.connections.known().boxes).toEqual([]);
  });
});

it('a connection that the datapath no longer trusts releases what waits', () => {
  const { world } = underWay();
  world.frames([1018, PORT]);
  world.connections.distrusted(7n, REASONS.indexOf('ttl'));
  expect(world.take()).toEqual([`> ${PORT.trim()}`]);
});

it('announcements are judged by the assignment of now', () => {
  const { world } = underWay();
  world.assignment = assignmentOf('data: { ports: 1024-2000 }');
  world.connections.reassign();
  world.frames([1012, PORT]);
  expect(world.refused).toEqual(['port-range']);
});
