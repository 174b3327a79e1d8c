/** What `check --estimate`, `--cost` and `--schedules` say of a setting, to people. */
import { showKnobs } from '../model/design.ts';
import type { Estimate } from '../properties/search/stateless/estimate-schedules.ts';
import { grouped } from '../reports/row.ts';
import type { Setting } from './designs.ts';
import { lineOf } from './retell.ts';
import type { CostDone } from './tasks/cost.ts';
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

/** No number is JSON for what never ends. */
export const endless = (most: number): number | 'no end' => (Number.isFinite(most) ? most : 'no end');
export function costText(setting: Setting, { costs }: CostDone, terminal: Look): string {
  const { paint } = terminal.look;
  const all = costs
    ?.filter(({ most }) => most > 0)
    .map(({ name, most }) => `${name} ${paint('heading', String(endless(most)))}`);
  const text =
    all === undefined
      ? paint('bad', 'too many states to say; see --max-states')
      : all.join(', ') || 'nothing that is counted';
  return `${nameOf(setting, terminal)}: ${all === undefined || all.length === 0 ? '' : 'at most '}${text}`;
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
