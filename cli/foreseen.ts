/** What `check --estimate` and `check --schedules` say of a setting: texts for people, and lines for machines. */
import { showKnobs } from '../model/design.ts';
import type { Estimate } from '../properties/search/stateless/estimate-schedules.ts';
import { grouped } from '../reports/row.ts';
import type { Setting } from './designs.ts';
import { lineOf } from './retell.ts';
import type { EstimateDone } from './tasks/estimate.ts';
import type { SchedulesDone } from './tasks/schedules.ts';
import type { Terminal } from './terminal.ts';

type Look = Pick<Terminal, 'look'>;
const nameOf = ({ design, knobs }: Setting, { look: { paint } }: Look): string =>
  `${paint('name', design)} ${showKnobs(knobs)}`;

/** Three digits are more than an estimate knows. */
const rough = (number: number): string =>
  Number.isFinite(number) ? grouped(Number(number.toPrecision(3))) : 'no end of';
const between = ({ estimate, low, high }: Estimate): string =>
  low === high ? grouped(estimate) : `about ${rough(estimate)} (${rough(low)} to ${rough(high)})`;

export function estimateText(setting: Setting, { states, schedules }: EstimateDone, terminal: Look): string {
  const { paint } = terminal.look;
  return [
    nameOf(setting, terminal),
    `  states: ${between(states)}  ${paint('dim', states.how)}`,
    `  schedules: ${between(schedules)} sorts, ${rough(schedules.searchSteps)} steps to search them  ${paint('dim', schedules.how)}`,
  ].join('\n');
}

export function schedulesText(setting: Setting, done: SchedulesDone, terminal: Look): string {
  const { paint } = terminal.look;
  const { findings, executions, blocked, steps, depth, complete, why, undecided, witnesses } = done;
  const verdict =
    findings.length > 0
      ? paint('bad', 'convicted')
      : paint(complete ? 'good' : 'bad', complete ? 'nothing found' : `nothing found so far: ${why}`);
  return [
    `${nameOf(setting, terminal)}: ${verdict}  ${paint('dim', `${grouped(executions)} sorts of schedules (${grouped(blocked)} begun in vain), ${grouped(steps)} steps, depth ${depth}, ${witnesses.length} witnesses`)}`,
    ...findings.map((finding) => `  ${lineOf(finding, terminal.look)}`),
    ...Object.entries(undecided)
      .filter(([name]) => !findings.some(({ blame }) => blame.property === name))
      .map(([name, because]) => `  ${paint('dim', `${name} is not decided: ${because}`)}`),
  ].join('\n');
}
