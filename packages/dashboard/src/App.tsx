// SPDX-License-Identifier: Apache-2.0
import { useEffect, useState } from 'preact/hooks';
import { Charts } from './Charts.js';
import { EventList } from './EventList.js';
import type { Feed } from './feed.js';
import { Header } from './Header.js';
import { useFeed, usePlace } from './hooks.js';
import { SessionView } from './SessionView.js';
import { System } from './System.js';
import { applyTheme, onPreference, storedTheme, type Theme } from './theme.js';

/** The whole page. */
export function App({ feed }: { feed: Feed }) {
  const version = useFeed(feed);
  const [place, go] = usePlace();
  const [theme, setTheme] = useState<Theme>(storedTheme);
  // Charts take their colours when they are drawn.
  const [, setPreference] = useState(0);
  useEffect(() => {
    return onPreference(() => {
      setPreference((count) => count + 1);
    });
  }, []);
  const changeTheme = (next: Theme): void => {
    applyTheme(next);
    setTheme(next);
  };
  return (
    <>
      <Header feed={feed} view={place.view} go={go} theme={theme} setTheme={changeTheme} />
      <main>
        {place.view === 'sessions' && <SessionView feed={feed} version={version} place={place} go={go} />}
        {place.view === 'charts' && <Charts feed={feed} version={version} theme={theme} />}
        {place.view === 'events' && <EventList feed={feed} version={version} place={place} go={go} />}
        {place.view === 'system' && <System feed={feed} />}
      </main>
    </>
  );
}
