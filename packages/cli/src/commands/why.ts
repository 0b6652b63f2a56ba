// SPDX-License-Identifier: Apache-2.0
import { formatExplanation, parseEndpoint, type Endpoint, type Explanation, type WhyQuestion } from '@relatd/model';
import { paint } from '../colour.js';
import type { Invocation, Run } from '../commands.js';
import { print, type Output } from '../context.js';
import { EXIT_DONE, UsageError } from '../failure.js';
import { askOrReadPins, clientFor, valueOf } from '../list.js';

/** `relatd why`: one sentence, then the facts that it rests on. Without a daemon from the pins, which have no history. */
export const run: Run = async (context, invocation) => {
  const { options } = invocation;
  const question = questionOf(invocation);
  const client = clientFor(context, options['socket']);
  const explanation = await askOrReadPins(
    context,
    () => client.why(question),
    async () => {
      const { offlineWhy } = await import('@relatd/engine');
      return offlineWhy({ netns: valueOf(options['netns']) }, question);
    },
    { quiet: true },
  );
  await print(
    context.stdout,
    options['json'] === true ? JSON.stringify(explanation) : textOf(explanation, context.stdout),
  );
  return EXIT_DONE;
};

/** The sentence stands out from what it rests on. */
function textOf(explanation: Explanation, output: Output): string {
  const [path = '', sentence = '', ...facts] = formatExplanation(explanation).split('\n');
  return [path, paint(output, explanation.related ? 'green' : 'yellow', sentence), ...facts].join('\n');
}

/** @throws UsageError when the line does not say which connection is meant */
function questionOf({ arguments: [first, second], options }: Invocation): WhyQuestion {
  const source = second === undefined ? null : endpointOf(first);
  const { address, port } = endpointOf(second ?? first);
  if (port === null) throw new UsageError(`${address} has no port: write ADDRESS:PORT, IPv6 as [ADDRESS]:PORT`);
  const zone = valueOf(options['zone']);
  if (zone !== null && (!/^\d{1,5}$/.test(zone) || Number(zone) > 0xffff))
    throw new UsageError(`'${zone}' is no zone: write a number from 0 to 65535`);
  const at = valueOf(options['at']);
  return {
    ...{ source, destination: { address, port } },
    zone: zone === null ? null : Number(zone),
    at: at === null ? null : timeOf(at),
  };
}

function endpointOf(text = ''): Endpoint {
  const endpoint = parseEndpoint(text);
  if (endpoint === null)
    throw new UsageError(`'${text}' is no address: write ADDRESS:PORT or ADDRESS, IPv6 with a port as [ADDRESS]:PORT`);
  return endpoint;
}

/** Milliseconds since 1970. A time alone is of today. */
function timeOf(text: string): number {
  const today = new Date();
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = `${String(today.getFullYear())}-${two(today.getMonth() + 1)}-${two(today.getDate())}`;
  const time = Date.parse(/^\d{2}:\d{2}(:\d{2}(\.\d+)?)?$/.test(text) ? `${date}T${text}` : text);
  if (Number.isNaN(time)) throw new UsageError(`'${text}' is no time: write one like 2026-11-22T12:00:00 or 12:00:00`);
  return time;
}
