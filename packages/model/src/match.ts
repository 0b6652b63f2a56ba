// SPDX-License-Identifier: Apache-2.0

/** Where the programs that `iptables -m bpf` asks are pinned, for rules of the host's own network namespace. */
export const MATCH_DIRECTORY = '/sys/fs/bpf/relatd/match';

/** What an assignment's program is called there: the BPF file system refuses dots. */
export function matchName(assignment: string): string {
  return assignment.replaceAll('.', ':');
}
