/**
 * Drivers that meet on one machine, as a person writes it: `a+b` share memory and reclaim, `a+b@bo` a buffer besides, and
 * `a+b@bo=shared_bo` one that has two names. What is written is the name of the design that comes out, so that a saved
 * counterexample finds it again.
 */
import { statSync } from 'node:fs';
import { composed } from '../model/compose.ts';
import { type Design, type Knobs, expected, settings } from '../model/design.ts';
import type { Chosen, Setting } from './designs.ts';
import { heeding, oneLine, refusal } from './refusal.ts';

export interface Meeting {
  readonly drivers: readonly string[];
  /** Names that mean one thing: one for all drivers, or one of each. */
  readonly shared: readonly (readonly string[])[];
}
/** Nothing when it is the name of one design, or a file. */
export function parseMeeting(text: string): Meeting | undefined {
  const [drivers = '', ...shared] = text.split('@');
  const parts = drivers.split('+');
  if (parts.length < 2 || parts.some((part) => part === '') || statSync(text, { throwIfNoEntry: false })) return;
  return { drivers: parts, shared: shared.map((names) => names.split('=')) };
}

/** The one design of these drivers. */
export function onOneMachine({ shared }: Meeting, drivers: readonly Chosen[]): Chosen {
  const name = [drivers.map(({ design }) => design.name).join('+'), ...shared.map((names) => names.join('='))].join(
    '@',
  );
  const files = [...new Set(drivers.flatMap(({ from }) => from ?? []))];
  if (files.length > 1)
    throw refusal(`${oneLine(name)}: drivers of ${files.length} files; put those of your own into one file`);
  const designs = drivers.map(({ design }) => design);
  const design = heeding(() => composed(name, designs, shared), oneLine(name));
  return { design, ...(files[0] === undefined ? {} : { from: files[0] }) };
}

/** The design that this is the name of: of drivers on one machine, each of which is there. */
export function meetingOf(name: string, there: (driver: string) => Chosen | undefined): Chosen | undefined {
  const meeting = parseMeeting(name);
  const drivers = meeting?.drivers.flatMap((driver) => there(driver) ?? []);
  return meeting && drivers?.length === meeting.drivers.length ? onOneMachine(meeting, drivers) : undefined;
}

/** The tamest setting at which nothing may be found. */
const clean = (design: Design): Knobs | undefined => settings(design).find((knobs) => expected(design, knobs)?.acquits);

/** Each clean design beside each other one, both as tame as they get: nothing may be found in any pair. */
export function pairsOf(chosen: readonly Chosen[]): Setting[] {
  const all = chosen.filter(({ design }) => clean(design));
  return all.flatMap((one, at) =>
    all.slice(at + 1).flatMap((other) => {
      const { design, from } = onOneMachine({ drivers: [], shared: [] }, [one, other]);
      const knobs = clean(design);
      return knobs ? [{ design: design.name, knobs, ...(from === undefined ? {} : { from }) }] : [];
    }),
  );
}
