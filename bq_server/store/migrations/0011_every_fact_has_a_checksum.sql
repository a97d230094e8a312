DROP INDEX facts_without_checksum;
