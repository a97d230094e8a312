// Where in the console one is: the part of the address after `#`.
import { useLayoutEffect, useState } from "preact/hooks";

const read = (): string[] => location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decode);

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a view: `link("participants", "ada")` is `#/participants/ada`. */
export const link = (...parts: string[]): string => `#/${parts.map(encodeURIComponent).join("/")}`;

/** The parts of the address, as they are now. */
export function useRoute(): string[] {
  const [route, setRoute] = useState(read);
  // An effect would run after the paint, and what changes before then would not be followed.
  useLayoutEffect(() => {
    const follow = () => setRoute(read());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return route;
}
