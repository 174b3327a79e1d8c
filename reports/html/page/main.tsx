/** Where a page begins to live: its data, the machine booted from it, and the view in place of the plain text. */
import { render } from 'preact';
import { type Finding, bootFinding } from '../finding.ts';
import { App } from './app.tsx';
import './page.css';

const data = document.getElementById('finding')?.textContent ?? '';
const finding = JSON.parse(data) as Finding;
const place = document.getElementById('app') as HTMLElement;
render(<App finding={finding} booted={bootFinding(finding)} />, place);
document.documentElement.classList.add('live');
