/** What was measured, as tables for people. */
import Table from 'cli-table3';
import { grouped } from '../../reports/row.ts';
import type { Row } from './play.ts';
import type { largestStates } from './size.ts';

const times = (ratio: number): string => `${ratio < 10 ? ratio.toFixed(2) : ratio.toFixed(0)}×`;
export function tableOf(rows: readonly Row[]): string {
  const table = new Table({
    head: ['what', 'ours / against', 'per CPU second', 'transitions', 'B/state', 'CPU', 'wall', 'goal', ''],
    style: { head: [], border: [] },
    wordWrap: true,
    colWidths: [24, 25, 14, 14, 9, 8, 8, 7, 13],
  });
  for (const { what, ours, theirs, unit, costs, ratio, goal, wall, secondsGoal, memoryGoal, refused } of rows) {
    if (!costs || !ratio) {
      table.push([what, `${ours} / ${theirs}`, { colSpan: 7, content: `no ratio: ${refused}` }]);
      continue;
    }
    const bytes = unit === 'states' ? `${costs.ours.bytesPer.toFixed(0)} / ${costs.theirs.bytesPer.toFixed(0)}` : '';
    const reached = (yes: boolean): string => (yes ? 'reached' : 'not reached');
    const verdict = goal === undefined ? '' : reached((wall ? ratio.wall : ratio.cpu) >= goal);
    table.push([
      what,
      `${ours} / ${theirs}`,
      unit === 'searches'
        ? `${costs.ours.cpuSeconds.toFixed(2)} s / ${costs.theirs.cpuSeconds.toFixed(2)} s`
        : `${grouped(Math.round(costs.ours.perCpuSecond))} / ${grouped(Math.round(costs.theirs.perCpuSecond))}`,
      unit !== 'states'
        ? ''
        : `${grouped(Math.round(costs.ours.transitionsPerCpuSecond))} / ${grouped(Math.round(costs.theirs.transitionsPerCpuSecond))}`,
      bytes,
      times(ratio.cpu),
      times(ratio.wall),
      goal === undefined ? '' : `${goal < 1 ? goal.toFixed(2) : goal}×${wall ? ' wall' : ''}`,
      verdict,
    ]);
    if (secondsGoal !== undefined)
      table.push([
        what,
        'CPU seconds',
        `${costs.ours.cpuSeconds.toFixed(2)} s`,
        '',
        '',
        { colSpan: 2, content: '' },
        `${secondsGoal} s`,
        reached(costs.ours.cpuSeconds <= secondsGoal),
      ]);
    if (memoryGoal !== undefined)
      table.push([
        what,
        'bytes per state',
        '',
        '',
        bytes,
        { colSpan: 2, content: `${ratio.memory.toFixed(2)} of theirs` },
        memoryGoal.toFixed(2),
        reached(ratio.memory <= memoryGoal),
      ]);
  }
  return table.toString();
}

export function sizesOf(sizes: ReturnType<typeof largestStates>): string {
  const table = new Table({ head: ['design', 'settings', 'bytes'], style: { head: [], border: [] } });
  for (const { design, settings, bytes } of sizes) table.push([design, settings, bytes]);
  return table.toString();
}
