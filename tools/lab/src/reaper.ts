// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import type { Writable } from 'node:stream';

/*
 * A shell that outlives this process. It holds the reading end of a pipe; the kernel closes the other end however this
 * process ends, kill -9 included. A shell and not node, because it must be up before the first namespace is made.
 */
const script = `
trap '' HUP INT TERM
set -f
items=
while read -r verb item; do
  case $verb in
    add) items="$items $item" ;;
    forget)
      rest=
      for i in $items; do [ "$i" = "$item" ] || rest="$rest $i"; done
      items=$rest ;;
  esac
done
for i in $items; do
  case $i in process:*)
    pid=\${i#process:}; start=\${pid#*:}; pid=\${pid%%:*}
    stat=$(cat /proc/$pid/stat 2>/dev/null) || continue
    set -- \${stat##*) }
    [ "\${20}" = "$start" ] && kill -s KILL -- -$pid 2>/dev/null
  esac
done
for i in $items; do
  case $i in netns:*)
    name=\${i#netns:}
    for round in 1 2 3 4 5; do
      pids=$(ip netns pids "$name")
      [ -n "$pids" ] || break
      kill -s KILL $pids
      sleep 0.05
    done
    ip netns delete "$name"
  esac
done
for i in $items; do
  case $i in path:*) rm -rf -- "\${i#path:}" ;; esac
done
`;

let pipe: Writable | undefined;

function tell(verb: 'add' | 'forget', item: string): void {
  if (!pipe) {
    const child = spawn('/bin/sh', ['-c', script, 'relatd-lab-reaper'], {
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    child.unref();
    pipe = child.stdin;
    pipe.on('error', () => undefined);
    (pipe as Writable & { unref(): void }).unref();
  }
  pipe.write(`${verb} ${item}\n`);
}

function register(item: string): () => void {
  if (/\s/.test(item)) throw new TypeError(`a name with white space cannot be registered: ${JSON.stringify(item)}`);
  tell('add', item);
  return () => tell('forget', item);
}

/** When this process is gone, kills what runs in the named network namespace and deletes it. Returns what withdraws that. */
export function deleteNamespaceOnDeath(name: string): () => void {
  return register(`netns:${name}`);
}

/** When this process is gone, removes this file or directory (pins in bpffs too). Returns what withdraws that. */
export function removeOnDeath(path: string): () => void {
  return register(`path:${path}`);
}

/**
 * When this process is gone, kills that process and its group. `startTime` is field 22 of /proc/PID/stat: without it a
 * recycled pid would be hit. Returns what withdraws that.
 */
export function killOnDeath(pid: number, startTime: string): () => void {
  return register(`process:${pid}:${startTime}`);
}
