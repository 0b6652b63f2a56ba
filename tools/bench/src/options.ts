// SPDX-License-Identifier: Apache-2.0

/** How much of everything is done. */
export interface Scale {
  readonly name: 'full' | 'quick' | 'smoke';
  /** Rounds of test runs and of forwarding. */
  readonly testRunRounds: number;
  readonly forwardRounds: number;
  readonly forwardPackets: number;
  readonly tuples: number;
  /** How many expectations the tables hold in forwarding. */
  readonly loads: readonly [number, number, number];
  /** What the full tables of the test runs hold. */
  readonly fullExpectations: number;
  readonly fullFlows: number;
  readonly controlRounds: number;
  readonly announcementRounds: number;
  readonly announcements: number;
  readonly sessionRounds: number;
  readonly sessions: number;
  /** FTP sessions one after the other, at most that many, in that time. */
  readonly crowd: number;
  readonly crowdSeconds: number;
  /** How long the reader of events stands still. */
  readonly stallSeconds: number;
  readonly bulkRounds: number;
  readonly bulkBytes: number;
  readonly pushRounds: number;
  readonly pushMasters: number;
  readonly starts: number;
}

const full: Scale = {
  name: 'full',
  testRunRounds: 40,
  forwardRounds: 240,
  forwardPackets: 4096,
  tuples: 65_536,
  loads: [0, 1000, 100_000],
  fullExpectations: 1_000_000,
  fullFlows: 100_000,
  controlRounds: 20,
  announcementRounds: 20,
  announcements: 100,
  sessionRounds: 16,
  sessions: 200,
  crowd: 1_000_000,
  crowdSeconds: 60,
  stallSeconds: 10,
  bulkRounds: 40,
  bulkBytes: 256e6,
  pushRounds: 15,
  pushMasters: 200,
  starts: 5,
};

export const SCALES: Readonly<Record<Scale['name'], Scale>> = {
  full,
  quick: {
    ...full,
    name: 'quick',
    testRunRounds: 6,
    controlRounds: 4,
    crowdSeconds: 10,
    forwardRounds: 24,
    announcementRounds: 6,
    announcements: 50,
    sessionRounds: 3,
    sessions: 100,
    bulkRounds: 8,
    bulkBytes: 128e6,
    pushRounds: 5,
    starts: 2,
  },
  // For the test of the harness: every step, no figure worth reading.
  smoke: {
    name: 'smoke',
    testRunRounds: 2,
    forwardRounds: 2,
    forwardPackets: 64,
    tuples: 256,
    loads: [0, 64, 512],
    fullExpectations: 512,
    fullFlows: 256,
    controlRounds: 1,
    crowd: 16,
    crowdSeconds: 5,
    stallSeconds: 1,
    announcementRounds: 1,
    announcements: 5,
    sessionRounds: 1,
    sessions: 4,
    bulkRounds: 1,
    bulkBytes: 1e6,
    pushRounds: 1,
    pushMasters: 4,
    starts: 1,
  },
};

export interface Options {
  readonly scale: Scale;
  /** Names of sections; empty: all. */
  readonly only: readonly string[];
  readonly json: string | null;
  readonly help: boolean;
}

export const USAGE = `usage: npm run bench -- [--quick] [--only NAME]... [--sessions COUNT] [--json FILE]

  --quick           fewer rounds: a few minutes, wider quartiles
  --only NAME       that section only; may be given several times
  --sessions COUNT  that many sessions in the section crowd, however long they take: 1000000 is half an hour or less
  --json FILE       the figures as JSON too
`;

/** @throws with a message for the user */
export function parseOptions(args: readonly string[]): Options {
  const only: string[] = [];
  let name: Scale['name'] = 'full';
  let json: string | null = null;
  let crowd: number | null = null;
  let help = false;
  for (let at = 0; at < args.length; at++) {
    const [option = '', attached] = (args[at] ?? '').split(/=(.*)/s);
    const value = (): string => {
      const text = attached ?? args[++at];
      if (text === undefined) throw new Error(`${option} needs a value`);
      return text;
    };
    if (option === '--quick') name = 'quick';
    else if (option === '--smoke') name = 'smoke';
    else if (option === '--only') only.push(...value().split(','));
    else if (option === '--json') json = value();
    else if (option === '--sessions') crowd = count(option, value());
    else if (option === '--help' || option === '-h') help = true;
    else throw new Error(`unknown option ${option}`);
  }
  const scale = SCALES[name];
  return { scale: crowd === null ? scale : { ...scale, crowd, crowdSeconds: Infinity }, only, json, help };
}

function count(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${option} is a number, not ${text}`);
  return value;
}
