// SPDX-License-Identifier: Apache-2.0

type Closer = () => Promise<void> | void;

const closers = new Set<Closer>();

/**
 * Runs `closer` when the benchmarks are interrupted, for what outlives this process: pinned programs and tables. Namespaces
 * and processes go by themselves (@relatd/lab). Returns what takes it back.
 */
export function atEnd(closer: Closer): () => void {
  closers.add(closer);
  return () => {
    closers.delete(closer);
  };
}

/** Ends this process in order when it is told to stop. */
export function closeOnSignals(): void {
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
  ] as const) {
    process.once(signal, () => {
      void closeEverything().then(() => {
        process.exit(128 + number);
      });
    });
  }
}

async function closeEverything(): Promise<void> {
  for (const closer of [...closers].reverse()) {
    try {
      await closer();
    } catch (error) {
      process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
}
