// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { HOME, placeOf, searchOf, type Place } from './place.js';

test('the place stands in the address, and comes back from it', () => {
  const place: Place = {
    view: 'events',
    query: 'alice 10.0.1.2:* & co',
    assignment: 'ftp-2121',
    shown: 'trouble',
    sort: 'bytes',
    descending: false,
    tree: false,
    session: '17',
  };
  expect(placeOf(searchOf(place))).toEqual(place);
  expect(placeOf('')).toEqual(HOME);
  expect(searchOf(HOME)).toBe('');
});

test('what an address says wrongly is as at home', () => {
  expect(placeOf('?view=nowhere&show=&sort=__proto__&order=sideways&tree=maybe')).toEqual(HOME);
  expect(placeOf(`?q=${'x'.repeat(5000)}`).query).toHaveLength(200);
});
