package move_test

func allWays() [][2]side { return [][2]side{{sqlite(), sqlite()}} }
