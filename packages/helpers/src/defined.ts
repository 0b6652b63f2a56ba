// SPDX-License-Identifier: Apache-2.0
import { Interpreter, type Machine, type MachineFact } from '@relatd/grammar';
import type { Direction, Fact, Helper, Parser, ParserOptions } from './helper.js';

/** A helper that has no parser of its own: its definition is walked here as in the datapath. */
export function definedHelper(name: string, machine: Machine): Helper {
  return { name, create: (options) => new DefinedParser(machine, options) };
}

class DefinedParser implements Parser {
  readonly #interpreter: Interpreter;
  readonly #adopted: boolean;

  constructor(machine: Machine, { adopted = false }: ParserOptions = {}) {
    this.#interpreter = new Interpreter(machine);
    this.#adopted = adopted;
  }

  get recognised(): boolean {
    return this.#adopted || this.#interpreter.recognised;
  }

  feed(direction: Direction, bytes: Uint8Array): readonly Fact[] {
    // Joined in its middle, where it stands is not known: the datapath knows, and decides without us.
    if (this.#adopted) return [];
    return this.#interpreter.feed(direction, bytes).flatMap(factOf);
  }

  resync(direction: Direction): void {
    this.#interpreter.resync(direction);
  }
}

function factOf(fact: MachineFact): Fact[] {
  switch (fact.kind) {
    case 'announce': {
      const { direction, start, end, protocol, anyone, address, port } = fact;
      const from = anyone ? 'anyone' : 'peer';
      return [{ kind: 'announce', direction, start, end, protocol, from, family: null, address, port, detail: null }];
    }
    case 'withdraw':
      return [{ kind: 'withdraw', reason: 'refused-by-server' }];
    case 'give-up':
      return [fact.reason === 'encrypted' ? { kind: 'encrypted' } : { kind: 'abandon', reason: 'not-protocol' }];
    case 'judge':
      return [{ kind: 'abandon', reason: 'not-protocol' }];
  }
}
