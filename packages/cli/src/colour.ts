// SPDX-License-Identifier: Apache-2.0
import { styleText } from 'node:util';
import { formatEvent, type Event, type EventType } from '@relatd/model';
import type { Output } from './context.js';

export type Colour = 'green' | 'yellow' | 'red' | 'cyan' | 'gray' | 'bold' | 'inverse';

/** Colours `text` where the output wants colours. */
export function paint(output: Output, colour: Colour, text: string): string {
  // Whether to colour was decided once, in Output; styleText's own look at the stream would decide again.
  return output.colour ? styleText(colour, text, { validateStream: false }) : text;
}

/** An event on one line, its type in colour: green is what relatd is for, red is what did not work. */
export function eventLine(event: Event, output: Output): string {
  return formatEvent(event).replace(event.type, paint(output, colourOf(event.type), event.type));
}

function colourOf(type: EventType): Colour {
  switch (type) {
    case 'expectation.refused':
    case 'guard.drop':
    case 'lost':
      return 'red';
    case 'related.new':
      return 'green';
    case 'control.new':
    case 'expectation.new':
      return 'cyan';
    default:
      return 'gray';
  }
}
