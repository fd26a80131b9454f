// One table of 300 entries, of RocksDB 11: Codecs DIR "table options" "column family options" TO.
//
// The same entries as Codecs.java, which has no such release. Built with
//   g++ -std=c++20 -I ROCKSDB/include Codecs.cc -lrocksdb
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/metadata.h>
#include <rocksdb/table.h>

#include <filesystem>
#include <iostream>

using namespace ROCKSDB_NAMESPACE;

static void must(const Status& status) {
  if (!status.ok()) {
    std::cerr << status.ToString() << "\n";
    std::exit(1);
  }
}

int main(int, char** a) {
  ConfigOptions config;
  BlockBasedTableOptions table;
  table.block_size = 1024;
  table.metadata_block_size = 128;
  must(GetBlockBasedTableOptionsFromString(config, table, a[2], &table));
  ColumnFamilyOptions family;
  must(GetColumnFamilyOptionsFromString(config, family, a[3], &family));
  Options options{DBOptions(), family};
  options.create_if_missing = true;
  options.level_compaction_dynamic_level_bytes = false;
  options.table_factory.reset(NewBlockBasedTableFactory(table));
  std::unique_ptr<DB> db;
  must(DB::Open(options, a[1], &db));
  WriteOptions write;
  write.disableWAL = true;
  for (int half = 0; half < 2; half++) {
    for (int i = half; i < 300; i += 2) {
      char key[16];
      std::snprintf(key, sizeof(key), "key%05d", i);
      std::string value = "value-" + std::to_string(i) + "-" + std::to_string(i * 7919 % 1000);
      must(db->Put(write, key, value + "-aaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    }
    must(db->Flush(FlushOptions()));
  }
  must(db->CompactRange(CompactRangeOptions(), nullptr, nullptr));
  std::vector<LiveFileMetaData> files;
  db->GetLiveFilesMetaData(&files);
  if (files.size() != 1) {
    std::cerr << files.size() << " files\n";
    return 1;
  }
  std::filesystem::copy_file(files[0].directory + "/" + files[0].relative_filename, a[4],
                             std::filesystem::copy_options::overwrite_existing);
}
