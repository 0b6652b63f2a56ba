// SPDX-License-Identifier: Apache-2.0
import { printable } from '@relatd/model';
import type { z } from 'zod';
import { list } from './field.js';
import { formatKeyPath, nearest, show, type Problem } from './problem.js';
import type { Position, Source } from './source.js';

/** Collects problems and finds their places. */
export class Findings {
  readonly wrong: Problem[] = [];
  readonly #warnings: Problem[] = [];
  readonly #file: string;
  readonly #source: Source;

  constructor(file: string, source: Source) {
    this.#file = file;
    this.#source = source;
  }

  add(position: Position | null, path: string, message: string, into = this.wrong): void {
    into.push({
      file: this.#file,
      line: position?.line ?? null,
      column: position?.column ?? null,
      path: printable(path),
      message: printable(message),
    });
  }

  error(path: PropertyKey[], message: string): void {
    this.add(this.#source.positionOf(path), formatKeyPath(path), message);
  }

  warn(path: PropertyKey[], message: string, part: 'key' | 'value' = 'value'): void {
    this.add(this.#source.positionOf(path, part), formatKeyPath(path), message, this.#warnings);
  }

  /** One of zod's issues; an issue about unknown keys carries the known ones as its message. */
  issue(issue: z.core.$ZodIssue): void {
    if (issue.code !== 'unrecognized_keys') {
      this.error([...issue.path], issue.message);
      return;
    }
    const known = JSON.parse(issue.message) as string[];
    for (const key of issue.keys) {
      const near = nearest(key, known);
      const right = near === null ? `known here are ${list(known, 'and')}` : `did you mean ${near}?`;
      const position = this.#source.positionOf([...issue.path, key], 'key');
      this.add(position, formatKeyPath(issue.path), `unknown key ${show(key)}; ${right}`);
    }
  }

  sorted(): Problem[] {
    return sortProblems(this.wrong);
  }

  sortedWarnings(): Problem[] {
    return sortProblems(this.#warnings);
  }
}

function sortProblems(problems: readonly Problem[]): Problem[] {
  return [...problems].sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}
