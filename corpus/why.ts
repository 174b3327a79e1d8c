/** Along a case: why a step that somebody expected cannot be taken, or that it could be, or that nobody owes it. */
import { type Case, REBOOT, follow } from '../model/case.ts';
import { type Booted, start } from '../model/design.ts';
import { kernelSystem } from '../properties/search/system.ts';
import { whyNot, whyNotOwed } from '../properties/search/why-not.ts';

/** The same answer from after word number `from` to after word number `to`; 0 is the start. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly says: string;
}

/** @param expected a word as in a schedule: a thread, or a thread and the way it should go */
export function whyNotAlong({ machine, ...booted }: Booted, run: Case, expected: string): Stretch[] {
  const system = kernelSystem(machine);
  const boot = (): ReturnType<typeof start> => start({ ...booted, machine }, run.workload);
  let kernel = boot();
  const found: Stretch[] = [];
  const look = (at: number): void => {
    const not = whyNot(system, kernel, expected);
    const [thread = ''] = expected.split('/');
    const instead = not && not.instead.length > 0 ? `; instead: ${not.instead.join(', ')}` : '';
    const owed = not ? undefined : whyNotOwed(system, kernel, thread);
    const says = not ? `${not.says}${instead}` : `it can be taken${owed === undefined ? '' : `, but ${owed}`}`;
    const last = found.at(-1);
    if (last?.says === says) found[found.length - 1] = { ...last, to: at };
    else found.push({ from: at, to: at, says });
  };
  look(0);
  [...run.schedule, ...(run.loop ?? [])].forEach((text, at) => {
    if (text === REBOOT) kernel = boot();
    else follow(machine, kernel, text);
    look(at + 1);
  });
  return found;
}
