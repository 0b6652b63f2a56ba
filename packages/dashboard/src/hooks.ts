// SPDX-License-Identifier: Apache-2.0
import { useCallback, useEffect, useState } from 'preact/hooks';
import type { Feed } from './feed.js';
import { placeOf, searchOf, type Place } from './place.js';

/** Draws anew when the feed has something new; the number changes each time. */
export function useFeed(feed: Feed): number {
  const [version, setVersion] = useState(0);
  useEffect(() => {
    return feed.subscribe(() => {
      setVersion((before) => before + 1);
    });
  }, [feed]);
  return version;
}

/** The place that stands in the address, and how to go to another. Another view or session is a step to go back from. */
export function usePlace(): [Place, (change: Partial<Place>) => void] {
  const [place, setPlace] = useState(() => placeOf(location.search));
  useEffect(() => {
    const read = (): void => {
      setPlace(placeOf(location.search));
    };
    addEventListener('popstate', read);
    return () => {
      removeEventListener('popstate', read);
    };
  }, []);
  const go = useCallback((change: Partial<Place>): void => {
    const before = placeOf(location.search);
    const next = { ...before, ...change };
    const address = `${location.pathname}${searchOf(next)}`;
    if (next.view !== before.view || next.session !== before.session) history.pushState(null, '', address);
    else history.replaceState(null, '', address);
    setPlace(next);
  }, []);
  return [place, go];
}
