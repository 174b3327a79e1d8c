/** Kernel code that breaks where a kernel developer would break it, when it must. */
import { Fragment } from 'preact';

export const Code = ({ text }: { text: string }) => (
  <>
    {text.split(/(?<=[(,/=])|(?=->)|(?<=_)(?=\w{4})/).map((piece, at) => (
      <Fragment key={at}>
        {at > 0 && <wbr />}
        {piece}
      </Fragment>
    ))}
  </>
);
