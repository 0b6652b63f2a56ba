// SPDX-License-Identifier: Apache-2.0
/** Wrong usage or configuration: exit code 2. Everything else that a command throws is exit code 1. */
export class UsageError extends Error {
  readonly code = 'CLI_USAGE';

  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

export const EXIT_DONE = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

/** Exit code for what a command threw. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError || isAboutInput(error)) return EXIT_USAGE;
  return EXIT_FAILED;
}

/** What stderr shows: one line, or one per problem of a configuration. */
export function linesOf(error: unknown): readonly string[] {
  const problems = problemsOf(error);
  if (problems.length > 0) return problems;
  const text = error instanceof Error ? error.message : String(error);
  const line = text.replace(/\s*\n\s*/g, ' ').trim();
  return [`relatd: ${line === '' ? 'unknown error' : line}`];
}

/** Of this process, or the answer of the daemon that carries its code. */
function isAboutInput(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  if ('code' in error && (error.code === 'CONFIG_INVALID' || error.code === 'API_BAD_FILTER')) return true;
  return 'answer' in error && isAboutInput(error.answer);
}

/** The problems of a configuration that does not hold, from `RelatdError` or from the daemon's answer. */
function problemsOf(error: unknown): readonly string[] {
  if (typeof error !== 'object' || error === null) return [];
  if ('problems' in error && Array.isArray(error.problems)) return error.problems.map((problem) => String(problem));
  return 'answer' in error ? problemsOf(error.answer) : [];
}
