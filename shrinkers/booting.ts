/** A design booted once for every setting that is asked for: what shrinking asks for again and again. */
import { type Booted, type Design, type Knobs, boot, fullKnobs } from '../model/design.ts';
import { canonical } from '../model/schema.ts';

export function booting(of: Design): (knobs: Knobs) => Booted {
  const booted = new Map<string, Booted>();
  return (knobs) => {
    const setting = canonical(fullKnobs(of, knobs));
    const known = booted.get(setting) ?? boot(of, knobs);
    booted.set(setting, known);
    return known;
  };
}
