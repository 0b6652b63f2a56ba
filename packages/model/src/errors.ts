// SPDX-License-Identifier: Apache-2.0

/** What went wrong, and what to do about it. */
interface ErrorText {
  readonly message: string;
  readonly hint: string;
}

function text(message: string, hint: string): ErrorText {
  return { message, hint };
}

/** Every error of the control plane by its stable code. The addon's codes are in native/, the API's own in packages/client and packages/api. */
const ERRORS = {
  CONFIG_INVALID: (file: string, count: number) =>
    text(
      `${file} has ${String(count)} ${count === 1 ? 'error' : 'errors'}`,
      `see them all with \`relatd check ${file}\``,
    ),
  NOT_ROOT: () => text('no permission to change the datapath', 'run relatd as root, or with CAP_BPF and CAP_NET_ADMIN'),
  KERNEL_TOO_OLD: (release: string) => text(`kernel ${release} is too old`, 'relatd needs Linux 6.1 or newer'),
  KERNEL_LACKS: (what: string) =>
    text(`this kernel lacks ${what}`, 'take a kernel that has it, such as that of your distribution'),
  BPFFS_MISSING: (path: string) => text(`no BPF file system at ${path}`, `mount it with \`mount -t bpf bpf ${path}\``),
  DATAPATH_MISSING: (path: string) => text(`${path} is not there`, 'build it with `npm run setup`'),
  INTERFACE_MISSING: (name: string) =>
    text(`there is no interface ${name}`, 'create it, or change `interfaces` in the configuration'),
  NAMESPACE_MISSING: (name: string) =>
    text(`there is no network namespace ${name}`, 'see what there is with `ip netns`, or give a path'),
  ALREADY_RUNNING: (pid: string) => text(`another relatd (pid ${pid}) serves this network namespace`, 'stop it first'),
  NOT_RUNNING: () => text('no relatd runs in this network namespace', 'start it with `relatd up`'),
  LAYOUT_MISMATCH: (found: number, expected: number) =>
    text(
      `the pinned tables have layout ${String(found)}, this version reads layout ${String(expected)}`,
      'start the version that made them, or accept that tracked connections stall with `relatd up --discard-state`',
    ),
  TABLE_FULL: (table: string, size: number) =>
    text(
      `the table ${table} is full (${String(size)} entries)`,
      'raise its number under `limits` in the configuration',
    ),
  RESTART_NEEDED: (what: string) =>
    text(`${what} cannot change while the datapath is loaded`, 'run `relatd down`, then `relatd up`'),
  CAPTURE_UNREADABLE: (file: string, why: string) =>
    text(`cannot read ${file}: ${why}`, 'give a capture of tcpdump, dumpcap or tshark (pcap or pcapng)'),
  CAPTURE_DAMAGED: (file: string, offset: number, what: string) =>
    text(
      `${file} cannot be read from byte ${String(offset)} on: ${what}`,
      'what stands before it counts; take the capture again for the rest',
    ),
  INTERNAL: (what: string) => text(what, 'this is a fault of relatd: please report it'),
} as const;

export type RelatdErrorCode = keyof typeof ERRORS;

/** All codes. */
export const ERROR_CODES = Object.keys(ERRORS) as readonly RelatdErrorCode[];

interface Extras {
  readonly cause?: unknown;
  readonly problems?: readonly string[];
}

/** What the control plane throws. `message` says what is wrong and what to do, on one line; `hint` is its second half. */
export class RelatdError extends Error {
  readonly code: RelatdErrorCode;
  readonly hint: string;
  /** `CONFIG_INVALID`: one line per error of the file. */
  readonly problems: readonly string[];

  private constructor(code: RelatdErrorCode, { message, hint }: ErrorText, { cause, problems = [] }: Extras) {
    super(`${message}: ${hint}`, cause === undefined ? undefined : { cause });
    this.name = 'RelatdError';
    this.code = code;
    this.hint = hint;
    this.problems = problems;
  }

  /** `RelatdError.of('INTERFACE_MISSING', 'eth7')`. */
  static of<Code extends RelatdErrorCode>(code: Code, ...details: Parameters<(typeof ERRORS)[Code]>): RelatdError {
    return RelatdError.with({}, code, ...details);
  }

  /** The same, with a cause or the problems of a configuration. */
  static with<Code extends RelatdErrorCode>(
    extras: Extras,
    code: Code,
    ...details: Parameters<(typeof ERRORS)[Code]>
  ): RelatdError {
    const format = ERRORS[code] as (...details: Parameters<(typeof ERRORS)[Code]>) => ErrorText;
    return new RelatdError(code, format(...details), extras);
  }
}
