// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { reasonWords, relativeWords, spanWords } from './words.js';

describe('words', () => {
  it.each([
    [0, 'less than 0.1 ms'],
    [0.34, '0.3 ms'],
    [9.94, '9.9 ms'],
    [9.96, '10 ms'],
    [412.4, '412 ms'],
    [999.6, '1.0 s'],
    [1440, '1.4 s'],
    [59_960, '1 min'],
    [125_000, '2 min 5 s'],
    [3_599_900, '1 h'],
    [12_000_000, '3 h 20 min'],
    [86_400_000, '1 d'],
    [97_200_000, '1 d 3 h'],
  ])('%d ms are %s', (milliseconds, text) => {
    expect(spanWords(milliseconds)).toBe(text);
  });

  it('say before or after what', () => {
    expect(relativeWords(1000, 1400, 'tcp')).toBe('400 ms before its SYN');
    expect(relativeWords(1400, 1000, 'udp')).toBe('400 ms after its first packet');
  });

  it('put a reason into a sentence', () => {
    expect(reasonWords('port-zero')).toBe('the announced port is 0');
    expect(reasonWords('nat')).toMatch(/^NAT stands between/);
  });
});
