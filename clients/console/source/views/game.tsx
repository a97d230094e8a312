// The game: its document, what a change would do, who leads, and what events there are.
import { may, type ViewProps } from "../app";
import { Heading, Tabs } from "../parts/ui";
import { link } from "../route";
import { Catalogue } from "./catalogue";
import { Document } from "./document";
import { Leaderboards } from "./leaderboards";

export function GameView({ session, rest }: ViewProps) {
  const admin = may(session, "admin");
  const tabs = [...(admin ? [["document", "Document"], ["leaderboards", "Leaderboards"]] : []), ["catalogue", "Catalogue"]] as [string, string][];
  const current = tabs.find(([name]) => name === rest[0])?.[0] ?? tabs[0]![0];
  return (
    <>
      <Heading title="Game" />
      <Tabs label="Of the game" tabs={tabs.map(([name, words]) => ({ name: words, href: link("game", name), current: name === current }))} />
      {current === "document" && <Document owner={session.key_id} />}
      {current === "leaderboards" && <Leaderboards />}
      {current === "catalogue" && <Catalogue />}
    </>
  );
}
