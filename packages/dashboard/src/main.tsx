// SPDX-License-Identifier: Apache-2.0
import { render } from 'preact';
import { App } from './App.js';
import { Feed } from './feed.js';
import './style.css';
import { applyTheme, storedTheme } from './theme.js';

applyTheme(storedTheme());
const feed = new Feed();
const watch = (): void => {
  if (document.hidden) feed.stop();
  else feed.start();
};
document.addEventListener('visibilitychange', watch);
watch();
const root = document.getElementById('app');
if (root !== null) render(<App feed={feed} />, root);
